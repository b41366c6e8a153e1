/*
 * Runtimes: preparing, dropping and committing. Main thread, but for the reference count.
 */
#include "lb/runtime.h"

#include "lb/activation.h"
#include "lb/io/socket.h"
#include "lb/metrics.h"
#include "lb/tally.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct binding *
find_binding(const struct runtime *runtime, const struct endpoint *endpoint)
{
	for (size_t i = 0; runtime && i < runtime->binding_count; i++) {
		if (endpoint_equal(&runtime->bindings[i].endpoint, endpoint))
			return &runtime->bindings[i];
	}
	return NULL;
}

/* One of our own addresses that keeps us from having another. */
static const struct binding *
find_overlap(const struct runtime *runtime, const struct endpoint *endpoint)
{
	for (size_t i = 0; runtime && i < runtime->binding_count; i++) {
		if (endpoint_overlaps(&runtime->bindings[i].endpoint, endpoint))
			return &runtime->bindings[i];
	}
	return NULL;
}

static const char *
listen_advice(int error)
{
	switch (error) {
	case EADDRINUSE:
		return "; another process, perhaps another smtplb, listens there: stop it or "
		       "choose another address";
	case EACCES:
		return "; start as root, which smtplb drops after binding, or choose a port from "
		       "1024";
	default:
		return "";
	}
}

static void
report_listen_error(struct report *report, const struct runtime *runtime,
	const struct runtime *before, const struct bind_conf *bind, int error)
{
	const char *file = runtime->snapshot->file;
	char text[ENDPOINT_TEXT_MAX], other[ENDPOINT_TEXT_MAX];
	const struct binding *own = find_overlap(before, &bind->endpoint);
	endpoint_format(&bind->endpoint, text);
	if (error == EADDRINUSE && own)
		report_error(report, file, bind->line,
			"can't listen on %s: this smtplb listens on %s, and one is part of the "
			"other; name only one of them, and restart to change from one to the other",
			text, endpoint_format(&own->endpoint, other));
	else
		report_error(report, file, bind->line, "can't listen on %s: %s%s", text,
			strerror(error), listen_advice(error));
}

static void
warn_of_absence(struct report *report, const struct runtime *runtime, const struct bind_conf *bind)
{
	char text[ADDR_TEXT_MAX];
	if (socket_is_ours(&bind->endpoint.addr))
		return;
	report_warning(report, runtime->snapshot->file, bind->line,
		"no interface of this machine has the address %s yet; clients are served there as "
		"soon as one has it",
		addr_format(&bind->endpoint.addr, text));
}

static int
bind_as_before(struct binding *binding, const struct binding *old)
{
	binding->fds = calloc(old->fd_count, sizeof(int));
	if (!binding->fds)
		return -1;
	memcpy(binding->fds, old->fds, old->fd_count * sizeof(int));
	binding->fd_count = old->fd_count;
	binding->inherited = true;
	return 0;
}

static void
close_all(const struct binding *binding)
{
	for (size_t i = 0; i < binding->fd_count; i++)
		close(binding->fds[i]);
}

/* Several workers may accept from one queue. */
static int
share(struct binding *binding, size_t count, unsigned workers)
{
	assert(binding->fds);
	int *fds = reallocarray(binding->fds, count < workers ? workers : count, sizeof(int));
	if (fds)
		binding->fds = fds;
	binding->fd_count = count;
	while (fds && binding->fd_count < workers) {
		int fd = fcntl(fds[binding->fd_count - count], F_DUPFD_CLOEXEC, 0);
		if (fd < 0)
			break;
		fds[binding->fd_count++] = fd;
	}
	if (fds && binding->fd_count >= workers)
		return 0;
	int error = errno;
	close_all(binding);
	errno = error;
	return -1;
}

static int
bind_anew(struct binding *binding, unsigned workers)
{
	binding->fds = calloc(workers, sizeof(int));
	binding->fd_count = workers;
	return binding->fds ? socket_listen(&binding->endpoint, binding->fds, workers) : -1;
}

/* Takes over the sockets of an address that is served already, or makes them. */
static int
bind_one(struct binding *binding, const struct runtime *before, struct activation *given,
	unsigned workers)
{
	const struct binding *old = find_binding(before, &binding->endpoint);
	if (old)
		return bind_as_before(binding, old);
	size_t count = activation_take(given, &binding->endpoint, &binding->fds);
	return count > 0 ? share(binding, count, workers) : bind_anew(binding, workers);
}

static void
bind_all(struct runtime *runtime, const struct runtime *before, struct activation *given,
	struct report *report)
{
	const struct snapshot *snapshot = runtime->snapshot;
	for (size_t i = 0; i < snapshot->listener_count; i++) {
		const struct listener_conf *listener = &snapshot->listeners[i];
		for (size_t j = 0; j < listener->bind_count; j++) {
			const struct bind_conf *bind = &listener->binds[j];
			struct binding *binding = &runtime->bindings[runtime->binding_count];
			*binding = (struct binding){
				.endpoint = bind->endpoint,
				.listener = listener,
			};
			if (bind_one(binding, before, given, runtime->workers) == 0) {
				runtime->binding_count++;
				if (!binding->inherited)
					warn_of_absence(report, runtime, bind);
				continue;
			}
			report_listen_error(report, runtime, before, bind, errno);
			free(binding->fds);
		}
	}
}

/* The limits of the listener of that name before, or new ones; with a reference. */
static struct limits *
find_or_make_limits(const struct runtime *before, const char *name)
{
	for (size_t i = 0; before && i < before->snapshot->listener_count; i++) {
		if (strcmp(before->snapshot->listeners[i].name, name) == 0)
			return limits_ref(before->limits[i]);
	}
	return limits_new();
}

static int
prepare_limits(struct runtime *runtime, const struct runtime *before)
{
	const struct snapshot *snapshot = runtime->snapshot;
	runtime->limits = calloc(snapshot->listener_count, sizeof(struct limits *));
	for (size_t i = 0; runtime->limits && i < snapshot->listener_count; i++) {
		const struct listener_conf *listener = &snapshot->listeners[i];
		runtime->limits[i] = find_or_make_limits(before, listener->name);
		if (!runtime->limits[i] ||
			limits_prepare(runtime->limits[i], &listener->limits) < 0)
			return -1;
	}
	return runtime->limits ? 0 : -1;
}

/* A listener goes on counting where it counted, by its name. */
static struct tally *
find_tally(const struct runtime *runtime, const char *listener)
{
	for (size_t i = 0; runtime && i < runtime->snapshot->listener_count; i++) {
		if (strcmp(runtime->snapshot->listeners[i].name, listener) == 0)
			return runtime->tallies[i];
	}
	return NULL;
}

static int
make_tallies(struct runtime *runtime, const struct runtime *before)
{
	const struct snapshot *snapshot = runtime->snapshot;
	runtime->tallies = calloc(snapshot->listener_count, sizeof(struct tally *));
	for (size_t i = 0; runtime->tallies && i < snapshot->listener_count; i++) {
		struct tally *old = find_tally(before, snapshot->listeners[i].name);
		runtime->tallies[i] =
			old ? tally_ref(old)
			    : tally_new(sizeof(struct listener_counts), runtime->workers);
		if (!runtime->tallies[i])
			return -1;
	}
	return runtime->tallies ? 0 : -1;
}

static size_t
count_binds(const struct snapshot *snapshot)
{
	size_t count = 0;
	for (size_t i = 0; i < snapshot->listener_count; i++)
		count += snapshot->listeners[i].bind_count;
	assert(count > 0);
	return count;
}

struct runtime *
runtime_prepare(const struct runtime *before, struct activation *given, struct snapshot *snapshot,
	struct pool_set *set, unsigned workers, struct report *report)
{
	struct runtime *runtime = calloc(1, sizeof(*runtime));
	size_t errors = report->errors;
	if (!runtime)
		goto no_memory;
	runtime->refs = 1;
	runtime->workers = workers;
	runtime->snapshot = snapshot_ref(snapshot);
	runtime->pools = calloc(snapshot->pool_count, sizeof(struct pool *));
	runtime->bindings = calloc(count_binds(snapshot), sizeof(struct binding));
	runtime->plan = pool_plan_new(set, snapshot);
	if (!runtime->pools || !runtime->bindings || !runtime->plan ||
		prepare_limits(runtime, before) < 0 || make_tallies(runtime, before) < 0)
		goto no_memory;
	bind_all(runtime, before, given, report);
	if (report->errors == errors)
		return runtime;
	runtime_drop(runtime);
	return NULL;
no_memory:
	report_error(report, snapshot->file, 0, "no memory to serve this configuration");
	if (runtime)
		runtime_drop(runtime);
	return NULL;
}

void
runtime_drop(struct runtime *runtime)
{
	for (size_t i = 0; i < runtime->binding_count; i++) {
		const struct binding *binding = &runtime->bindings[i];
		if (!binding->inherited)
			close_all(binding);
	}
	if (runtime->plan)
		pool_plan_drop(runtime->plan);
	runtime->plan = NULL;
	runtime_unref(runtime);
}

void
runtime_commit(struct runtime *runtime, struct pool_set *set)
{
	pool_plan_commit(runtime->plan);
	runtime->plan = NULL;
	for (size_t i = 0; i < runtime->snapshot->pool_count; i++)
		runtime->pools[i] = pool_ref(pool_set_find(set, runtime->snapshot->pools[i].name));
	for (size_t i = 0; i < runtime->snapshot->listener_count; i++)
		limits_configure(runtime->limits[i], &runtime->snapshot->listeners[i].limits);
}

struct runtime *
runtime_ref(struct runtime *runtime)
{
	__atomic_add_fetch(&runtime->refs, 1, __ATOMIC_RELAXED);
	return runtime;
}

void
runtime_unref(struct runtime *runtime)
{
	if (!runtime || __atomic_sub_fetch(&runtime->refs, 1, __ATOMIC_ACQ_REL) > 0)
		return;
	for (size_t i = 0; runtime->pools && i < runtime->snapshot->pool_count; i++)
		pool_unref(runtime->pools[i]);
	for (size_t i = 0; runtime->limits && i < runtime->snapshot->listener_count; i++)
		limits_unref(runtime->limits[i]);
	for (size_t i = 0; runtime->tallies && i < runtime->snapshot->listener_count; i++)
		tally_unref(runtime->tallies[i]);
	for (size_t i = 0; i < runtime->binding_count; i++)
		free(runtime->bindings[i].fds);
	free(runtime->pools);
	free(runtime->limits);
	free(runtime->tallies);
	free(runtime->bindings);
	snapshot_unref(runtime->snapshot);
	free(runtime);
}

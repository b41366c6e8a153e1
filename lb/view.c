/*
 * Views: accepting, and its pause when descriptors or memory ran out. Worker's thread.
 */
#include "lb/view.h"

#include "lb/clock.h"
#include "lb/io/socket.h"
#include "lb/log.h"
#include "lb/memory.h"
#include "lb/session.h"
#include "lb/session_log.h"
#include "lb/tally.h"
#include "lb/worker.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	ACCEPTS_IN_A_ROW = 32, /* then the sessions have their turn */
	TELL_AGAIN_MS = 10000,
};

static const double ACCEPT_PAUSE_S = 0.1;

struct acceptor {
	ev_io watcher;
	struct view *view;
	const struct listener_conf *listener;
	struct endpoint endpoint;
	int fd;
};

struct view {
	struct worker *worker;
	struct runtime *runtime;
	unsigned refs;
	ev_timer pause;
	uint64_t told_ms; /* when the log was last told why not all are served; 0 = never */
	size_t acceptor_count;
	struct acceptor acceptors[];
};

static void on_acceptable(struct ev_loop *loop, ev_io *watcher, int ready);
static void on_pause_over(struct ev_loop *loop, ev_timer *timer, int ready);

static void
add_acceptor(struct view *view, const struct binding *binding, int fd)
{
	struct acceptor *acceptor = &view->acceptors[view->acceptor_count++];
	acceptor->view = view;
	acceptor->listener = binding->listener;
	acceptor->endpoint = binding->endpoint;
	acceptor->fd = fd;
	ev_io_init(&acceptor->watcher, on_acceptable, fd, EV_READ);
	acceptor->watcher.data = acceptor;
}

/* A worker's, at most. */
static size_t
count_sockets(const struct runtime *runtime)
{
	size_t count = 0;
	for (size_t i = 0; i < runtime->binding_count; i++)
		count += runtime->bindings[i].fd_count / runtime->workers + 1;
	return count;
}

struct view *
view_new(struct worker *worker, struct runtime *runtime)
{
	struct view *view =
		calloc(1, sizeof(*view) + count_sockets(runtime) * sizeof(struct acceptor));
	if (!view)
		return NULL;
	view->worker = worker;
	view->runtime = runtime_ref(runtime);
	view->refs = 1;
	ev_init(&view->pause, on_pause_over);
	view->pause.data = view;
	for (size_t i = 0; i < runtime->binding_count; i++) {
		const struct binding *binding = &runtime->bindings[i];
		for (size_t j = worker_index(worker); j < binding->fd_count; j += runtime->workers)
			add_acceptor(view, binding, binding->fds[j]);
	}
	return view;
}

struct view *
view_ref(struct view *view)
{
	view->refs++;
	return view;
}

void
view_unref(struct view *view)
{
	if (--view->refs > 0)
		return;
	runtime_unref(view->runtime);
	free(view);
}

struct worker *
view_worker(const struct view *view)
{
	return view->worker;
}

struct pool *
view_pool(const struct view *view, const struct pool_conf *conf)
{
	return view->runtime->pools[conf - view->runtime->snapshot->pools];
}

struct limits *
view_limits(const struct view *view, const struct listener_conf *conf)
{
	return view->runtime->limits[conf - view->runtime->snapshot->listeners];
}

struct listener_counts *
view_counts(const struct view *view, const struct listener_conf *listener)
{
	const struct runtime *runtime = view->runtime;
	return tally_block(runtime->tallies[listener - runtime->snapshot->listeners],
		worker_index(view->worker));
}

const struct listener_conf *
view_find_listener(const struct view *view, const char *name)
{
	const struct snapshot *snapshot = view->runtime->snapshot;
	for (size_t i = 0; i < snapshot->listener_count; i++) {
		if (strcmp(snapshot->listeners[i].name, name) == 0)
			return &snapshot->listeners[i];
	}
	return NULL;
}

static struct ev_loop *
loop_of(const struct view *view)
{
	return worker_io(view->worker)->loop;
}

void
view_start(struct view *view)
{
	for (size_t i = 0; i < view->acceptor_count; i++)
		ev_io_start(loop_of(view), &view->acceptors[i].watcher);
}

static void
stop(struct view *view)
{
	for (size_t i = 0; i < view->acceptor_count; i++)
		ev_io_stop(loop_of(view), &view->acceptors[i].watcher);
}

static void
on_pause_over(struct ev_loop *loop, ev_timer *timer, int ready)
{
	(void)loop;
	(void)ready;
	view_start(timer->data);
}

/* At most a line in a while: a crowd at the door must not fill the log. */
static void
tell(struct view *view, const struct listener_conf *listener, int error)
{
	uint64_t now = clock_ms();
	if (view->told_ms && now - view->told_ms < TELL_AGAIN_MS)
		return;
	view->told_ms = now;
	struct log_line line;
	log_begin(&line, LOG_LEVEL_ERROR, "accept");
	log_text(&line, "listener", listener->name);
	log_text(&line, "detail", strerror(error));
	log_end(&line);
}

static void
pause_accepting(struct view *view)
{
	stop(view);
	ev_timer_stop(loop_of(view), &view->pause);
	ev_timer_set(&view->pause, ACCEPT_PAUSE_S, 0);
	ev_timer_start(loop_of(view), &view->pause);
}

void
view_resume(struct view *view)
{
	if (!ev_is_active(&view->pause))
		return;
	ev_timer_stop(loop_of(view), &view->pause);
	view_start(view);
}

typedef void begin_fn(struct worker *worker, struct view *view,
	const struct listener_conf *listener, int fd, const struct endpoint *source,
	const struct endpoint *destination);

/* Which address was called: only who listens on all of them has to ask. */
static int
find_destination(const struct acceptor *acceptor, int fd, struct endpoint *destination)
{
	struct sockaddr_storage sa = {0};
	socklen_t len = sizeof(sa);
	*destination = acceptor->endpoint;
	if (!addr_is_wildcard(&destination->addr))
		return 0;
	if (getsockname(fd, (struct sockaddr *)&sa, &len) < 0)
		return -1;
	endpoint_from_sockaddr(destination, (struct sockaddr *)&sa);
	return 0;
}

/* Takes one connection out of the accept queue. Returns 0, or -1 with errno. */
static int
accept_one(struct acceptor *acceptor, begin_fn *begin)
{
	struct sockaddr_storage sa = {0};
	socklen_t len = sizeof(sa);
	int fd = accept4(acceptor->fd, (struct sockaddr *)&sa, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd < 0)
		return -1;
	struct view *view = acceptor->view;
	struct endpoint source, destination;
	endpoint_from_sockaddr(&source, (struct sockaddr *)&sa);
	if (find_destination(acceptor, fd, &destination) == 0) {
		begin(view->worker, view, acceptor->listener, fd, &source, &destination);
		return 0;
	}
	session_log_failed_begin(acceptor->listener, &source, errno);
	close(fd);
	return 0;
}

/* The same with the reserve, which is held again afterwards. Where another thread was faster, and
 * took it, there is none until a descriptor is free. */
static int
answer_one(struct acceptor *acceptor)
{
	struct worker *worker = acceptor->view->worker;
	int error = errno;
	tell(acceptor->view, acceptor->listener, error);
	worker_hold_reserve(worker);
	if (worker_free_reserve(worker)) {
		int result = accept_one(acceptor, session_turn_away);
		error = errno;
		io_settle(worker_io(worker));
		worker_hold_reserve(worker);
		if (result == 0)
			return 0;
	}
	errno = error;
	return -1;
}

/* Serves one connection of the accept queue, if only with a refusal. Returns 0, or -1 with errno.
 */
static int
serve_one(struct acceptor *acceptor)
{
	if (accept_one(acceptor, session_begin) == 0)
		return 0;
	if (errno == EMFILE || errno == ENFILE)
		return answer_one(acceptor);
	return -1;
}

/* Errors that say nothing about the next connection: there is none, or this one has failed while it
 * was in the queue (accept(2)). */
static bool
is_passing(int error)
{
	switch (error) {
	case EAGAIN:
	case EINTR:
	case ECONNABORTED:
	case ENETDOWN:
	case EPROTO:
	case ENOPROTOOPT:
	case EHOSTDOWN:
	case ENONET:
	case EHOSTUNREACH:
	case EOPNOTSUPP:
	case ENETUNREACH:
	case EPERM:
		return true;
	default:
		return false;
	}
}

static void
on_acceptable(struct ev_loop *loop, ev_io *watcher, int ready)
{
	(void)loop;
	struct acceptor *acceptor = watcher->data;
	/* The loop has no memory to watch it, and has stopped to; or could not have it next time.
	 */
	if ((ready & EV_ERROR) || memory_is_short()) {
		tell(acceptor->view, acceptor->listener, ENOMEM);
		pause_accepting(acceptor->view);
		return;
	}
	for (int i = 0; i < ACCEPTS_IN_A_ROW; i++) {
		if (serve_one(acceptor) == 0)
			continue;
		if (is_passing(errno))
			return;
		tell(acceptor->view, acceptor->listener, errno);
		pause_accepting(acceptor->view);
		return;
	}
}

static bool
has_acceptor(const struct view *view, int fd)
{
	for (size_t i = 0; view && i < view->acceptor_count; i++) {
		if (view->acceptors[i].fd == fd)
			return true;
	}
	return false;
}

void
view_retire(struct view *view, const struct view *next)
{
	stop(view);
	ev_timer_stop(loop_of(view), &view->pause);
	for (size_t i = 0; i < view->acceptor_count; i++) {
		struct acceptor *acceptor = &view->acceptors[i];
		if (has_acceptor(next, acceptor->fd))
			continue;
		for (int j = 0; j < SOCKET_BACKLOG; j++)
			if (serve_one(acceptor) < 0 && errno != ECONNABORTED)
				break;
		close(acceptor->fd);
	}
	view_unref(view);
}

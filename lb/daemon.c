/*
 * The daemon's start and end, and what its rooms tell each other. Main thread; it owns all that
 * serves.
 */
#include "lb/daemon.h"

#include "health/health.h"
#include "lb/activation.h"
#include "lb/admin/admin.h"
#include "lb/change.h"
#include "lb/choose_engine.h"
#include "lb/clock.h"
#include "lb/descriptors.h"
#include "lb/event.h"
#include "lb/log.h"
#include "lb/memory.h"
#include "lb/notice.h"
#include "lb/orders.h"
#include "lb/pool_set.h"
#include "lb/privileges.h"
#include "lb/reload.h"
#include "lb/replacement.h"
#include "lb/runtime.h"
#include "lb/stop.h"
#include "lb/successor.h"
#include "lb/supervisor.h"
#include "lb/troubles.h"
#include "lb/watcher.h"
#include "lb/worker.h"

#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct daemon {
	const char *file;
	struct ev_loop *loop;
	struct serving serving;
	unsigned workers_stopped; /* atomic */
	struct snapshot *first;
	struct reload reload;
	struct orders orders;
	struct troubles troubles;
	struct stop stop;
	struct successor successor;
	struct replacement replacement;
	ev_async worker_stopped;
};

static int
fail_start(const char *what)
{
	fprintf(stderr, "smtplb: can't %s: %s\n", what, strerror(errno));
	return -1;
}

/* What other rooms call back. */

static void
on_pool_usable(void *context)
{
	struct daemon *daemon = context;
	for (unsigned i = 0; i < daemon->serving.worker_count; i++)
		worker_look_again(daemon->serving.workers[i]);
}

static struct pool *
find_pool(const struct daemon *daemon, const char *name)
{
	struct pool *pool = pool_set_find(daemon->serving.pools, name);
	assert(pool);
	return pool;
}

static void
on_health_change(void *context, const char *pool, const char *backend, const struct addr *address,
	bool up, const struct probe_result *result)
{
	pool_probed(find_pool(context, pool), backend, address, up, result->detail);
}

static void
on_probe(void *context, const char *pool, const char *backend, const struct addr *address,
	const struct probe_result *result)
{
	struct pool *of = find_pool(context, pool);
	bool ok = result->cause == PROBE_OK;
	pool_note_probe(of, backend, address, ok, result->detail);
	if (result->cause != PROBE_RESOURCES)
		pool_count_probe(of, backend, ok);
}

static const struct health_events health_events = {
	.on_change = on_health_change,
	.on_probe = on_probe,
};

static void
on_worker_stopped(void *context)
{
	struct daemon *daemon = context;
	__atomic_add_fetch(&daemon->workers_stopped, 1, __ATOMIC_RELAXED);
	ev_async_send(daemon->loop, &daemon->worker_stopped);
}

static void
on_stopped_told(struct ev_loop *loop, ev_async *watcher, int ready)
{
	(void)ready;
	struct daemon *daemon = watcher->data;
	if (__atomic_load_n(&daemon->workers_stopped, __ATOMIC_RELAXED) ==
		daemon->serving.worker_count)
		ev_break(loop, EVBREAK_ALL);
}

/* What the admin interface orders. */

static int
on_reload(void *context, bool *behind)
{
	struct daemon *daemon = context;
	return reload_order(&daemon->reload, behind);
}

static int
on_order(void *context, const char *pool, const char *backend, const char *state)
{
	struct daemon *daemon = context;
	return orders_give(&daemon->orders, pool, backend, state);
}

static bool
is_stopping(void *context)
{
	const struct daemon *daemon = context;
	return daemon->stop.begun;
}

static bool
is_retired(void *context)
{
	const struct daemon *daemon = context;
	return daemon->stop.retired;
}

static const struct admin_orders admin_orders = {
	.reload = on_reload,
	.order = on_order,
	.is_stopping = is_stopping,
	.is_retired = is_retired,
};

/* Start and end. */

/* Told to stop while there is nothing yet to stop. */
static void
leave(int number)
{
	(void)number;
	_exit(EXIT_SUCCESS);
}

/* Workers must not take the signals that the main thread's loop waits for. */
static int
start_threads(struct daemon *daemon)
{
	sigset_t all, before;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	int result = log_start(STDERR_FILENO);
	if (result == 0)
		result = watcher_start(daemon->serving.watcher);
	for (unsigned i = 0; i < daemon->serving.worker_count && result == 0; i++)
		result = worker_start(daemon->serving.workers[i]);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return result;
}

static void
log_ready(const struct daemon *daemon)
{
	const struct snapshot *snapshot = daemon->serving.runtime->snapshot;
	struct event event;
	notice_config(LOG_LEVEL_INFO, "loaded", daemon->file);
	event_begin(&event, LOG_LEVEL_INFO, "ready");
	event_number(&event, "listeners", snapshot->listener_count);
	event_number(&event, "pools", snapshot->pool_count);
	event_number(&event, "workers", daemon->serving.worker_count);
	event_text(&event, "engine", engine_name(daemon->serving.shared.engine));
	event_number(&event, "pid", (uint64_t)getpid());
	event_end(&event);
}

static int
make_parts(struct daemon *daemon, struct report *report)
{
	const struct snapshot *snapshot = daemon->first;
	const struct engine *engine = choose_engine(snapshot, report);
	if (!engine) {
		notice_print(report);
		return -1;
	}
	descriptors_raise_limit();
	daemon->serving.shared = (struct worker_shared){
		.engine = engine,
		.hostname = snapshot->hostname,
		.max_sessions = descriptors_session_limit(snapshot),
		.max_lingering = descriptors_linger_limit(snapshot) / snapshot->workers + 1,
		.on_stopped = on_worker_stopped,
		.context = daemon,
	};
	log_set_name(snapshot->hostname);
	daemon->loop = ev_default_loop(EVFLAG_AUTO);
	daemon->serving.workers = calloc(snapshot->workers, sizeof(struct worker *));
	if (!daemon->loop || !daemon->serving.workers)
		return fail_start("start the event loop");
	for (; daemon->serving.worker_count < snapshot->workers; daemon->serving.worker_count++) {
		struct worker *worker =
			worker_new(&daemon->serving.shared, daemon->serving.worker_count);
		if (!worker)
			return fail_start("make a worker");
		daemon->serving.workers[daemon->serving.worker_count] = worker;
	}
	ev_async_init(&daemon->worker_stopped, on_stopped_told);
	daemon->worker_stopped.data = daemon;
	ev_async_start(daemon->loop, &daemon->worker_stopped);
	stop_init(&daemon->stop, daemon->loop, &daemon->serving);
	daemon->serving.pools = pool_set_new(snapshot->workers, on_pool_usable, daemon);
	daemon->serving.health = health_new(daemon->loop, &health_events, daemon);
	int loads = reload_init(&daemon->reload, daemon->loop, &daemon->serving, daemon->file,
		&daemon->stop, snapshot);
	orders_init(&daemon->orders, daemon->loop, &daemon->serving);
	troubles_init(&daemon->troubles, daemon->loop, &daemon->serving);
	replacement_init(&daemon->replacement, daemon->loop, &daemon->serving, daemon->file);
	daemon->serving.admin = admin_new(daemon->loop, &daemon->serving, &admin_orders, daemon);
	if (loads < 0 || !daemon->serving.admin || !daemon->serving.pools ||
		!daemon->serving.health)
		return fail_start("start");
	return 0;
}

/* Binds and drops root before there is any thread. */
static int
start(struct daemon *daemon, struct report *report)
{
	const char *why;
	struct change change;
	if (change_prepare(&change, &daemon->serving, daemon->first, report) < 0) {
		notice_print(report);
		return -1;
	}
	if (privileges_drop(daemon->first->user, &why) < 0) {
		int error = errno;
		change_drop(&change, &daemon->serving);
		fprintf(stderr, "smtplb: can't drop root for user `%s` (%s): %s\n",
			daemon->first->user, why, strerror(error));
		return -1;
	}
	why = NULL;
	if (start_threads(daemon) < 0)
		why = "start a thread";
	else if (successor_prepare(&daemon->successor, &change) < 0)
		why = "take over from the process before";
	if (why) {
		fail_start(why);
		change_drop(&change, &daemon->serving);
		stop_now(&daemon->stop);
		return -1;
	}
	replacement_watch(&daemon->replacement, &daemon->stop, &daemon->reload, &daemon->successor);
	reload_watch(&daemon->reload);
	stop_watch(&daemon->stop);
	change_commit(&change, &daemon->serving);
	activation_settle(daemon->serving.given, daemon->file, report);
	notice_log(report);
	log_ready(daemon);
	if (!successor_is_one_of_two(&daemon->successor))
		supervisor_ready("Serving");
	successor_watch(&daemon->successor, daemon->loop);
	return 0;
}

static void
free_parts(struct daemon *daemon)
{
	for (unsigned i = 0; i < daemon->serving.worker_count; i++)
		worker_free(daemon->serving.workers[i]);
	daemon->serving.worker_count = 0;
	free(daemon->serving.workers);
	reload_fini(&daemon->reload);
	orders_fini(&daemon->orders);
	troubles_fini(&daemon->troubles);
	replacement_fini(&daemon->replacement);
	successor_fini(&daemon->successor);
	admin_free(daemon->serving.admin);
	if (daemon->serving.health)
		health_free(daemon->serving.health);
	runtime_unref(daemon->serving.runtime);
	if (daemon->serving.pools)
		pool_set_free(daemon->serving.pools);
	snapshot_unref(daemon->first);
}

int
daemon_run(const char *file)
{
	struct daemon daemon = {.file = file, .serving.started_ms = clock_ms()};
	struct report report;
	int status = EXIT_FAILURE;
	signal(SIGPIPE, SIG_IGN);
	/* Until their watchers take over. */
	signal(SIGHUP, SIG_IGN);
	signal(SIGUSR2, SIG_IGN);
	signal(SIGTERM, leave);
	signal(SIGINT, leave);
	report_init(&report);
	if (memory_init() < 0) {
		fail_start("start");
		return EXIT_FAILURE;
	}
	successor_init(&daemon.successor);
	daemon.serving.given = activation_new(&report);
	daemon.first = snapshot_load(file, &report);
	if (!daemon.first || !daemon.serving.given) {
		notice_print(&report);
	} else if (make_parts(&daemon, &report) == 0 && start(&daemon, &report) == 0) {
		ev_run(daemon.loop, 0);
		status = EXIT_SUCCESS;
	}
	free_parts(&daemon);
	activation_free(daemon.serving.given);
	log_stop();
	report_fini(&report);
	return status;
}

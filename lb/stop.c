/*
 * See stop.h.
 */
#include "lb/stop.h"

#include "conf/snapshot.h"
#include "lb/event.h"
#include "lb/runtime.h"
#include "lb/supervisor.h"
#include "lb/worker.h"

#include <signal.h>

static void
log_stopping(const char *how)
{
	struct event event;
	event_begin(&event, LOG_LEVEL_INFO, "stopping");
	event_text(&event, "how", how);
	event_end(&event);
}

void
stop_now(const struct stop *stop)
{
	for (unsigned i = 0; i < stop->serving->worker_count; i++) {
		worker_stop(stop->serving->workers[i]);
		worker_cut(stop->serving->workers[i]);
	}
}

/* Once retired, we are not the service any more. */
static void
tell_supervisor(const struct stop *stop, const char *status)
{
	if (!stop->retired)
		supervisor_stopping(status);
}

static void
await_drain_timeout(struct stop *stop)
{
	uint64_t timeout_ms = stop->serving->runtime->snapshot->drain_timeout_ms;
	ev_timer_stop(stop->loop, &stop->drain);
	ev_timer_set(&stop->drain, (double)timeout_ms / 1000, 0);
	ev_timer_start(stop->loop, &stop->drain);
}

static void
drain(struct stop *stop)
{
	log_stopping("gracefully");
	tell_supervisor(stop, "Sessions finish");
	stop->begun = stop->drains = true;
	for (unsigned i = 0; i < stop->serving->worker_count; i++)
		worker_stop(stop->serving->workers[i]);
	await_drain_timeout(stop);
}

static void
on_drain_timeout(struct ev_loop *loop, ev_timer *timer, int ready)
{
	(void)loop;
	(void)ready;
	struct stop *stop = timer->data;
	if (!stop->drains) {
		drain(stop);
		return;
	}
	for (unsigned i = 0; i < stop->serving->worker_count; i++)
		worker_cut_late(stop->serving->workers[i]);
}

void
stop_retire(struct stop *stop)
{
	log_stopping("upgrade");
	stop->begun = stop->retired = true;
	for (unsigned i = 0; i < stop->serving->worker_count; i++)
		worker_retire(stop->serving->workers[i]);
	await_drain_timeout(stop);
}

static void
on_interrupt(struct ev_loop *loop, ev_signal *watcher, int ready)
{
	(void)loop;
	(void)ready;
	struct stop *stop = watcher->data;
	log_stopping("now");
	tell_supervisor(stop, "Sessions are cut");
	stop->begun = stop->drains = true;
	stop_now(stop);
}

static void
on_term(struct ev_loop *loop, ev_signal *watcher, int ready)
{
	struct stop *stop = watcher->data;
	if (stop->drains)
		on_interrupt(loop, watcher, ready);
	else
		drain(stop);
}

void
stop_init(struct stop *stop, struct ev_loop *loop, const struct serving *serving)
{
	*stop = (struct stop){.loop = loop, .serving = serving};
	ev_signal_init(&stop->term, on_term, SIGTERM);
	ev_signal_init(&stop->interrupt, on_interrupt, SIGINT);
	ev_init(&stop->drain, on_drain_timeout);
	stop->term.data = stop->interrupt.data = stop->drain.data = stop;
}

void
stop_watch(struct stop *stop)
{
	ev_signal_start(stop->loop, &stop->term);
	ev_signal_start(stop->loop, &stop->interrupt);
}

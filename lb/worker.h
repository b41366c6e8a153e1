/*
 * A worker: one thread with its own libev loop, its own listening sockets (SO_REUSEPORT), sessions
 * and chunks. The main thread speaks to it only through its inbox; each order wakes its loop.
 */
#ifndef LB_WORKER_H
#define LB_WORKER_H

#include "lb/deadlines.h"
#include "lb/denials.h"
#include "lb/io/conn.h"

#include <ev.h>
#include <stdint.h>

struct denied;
struct session;
struct session_list;
struct view;
struct worker;

/* What all workers share. */
struct worker_shared {
	const struct engine *engine; /* of all their connections */
	const char *hostname;        /* in our replies */
	uint64_t max_sessions;       /* over all workers; atomic */
	unsigned max_lingering;      /* clients, a worker */
	uint64_t sessions;           /* that have room now; atomic */
	struct denial_quotas denials;
	/* Called from a worker's thread when it has stopped and can be joined. */
	void (*on_stopped)(void *context);
	void *context;
};

/* For the main thread. */

struct worker *worker_new(struct worker_shared *shared, unsigned index); /* NULL: errno says why */
int worker_start(struct worker *worker);                                 /* 0, or -1 with errno */

/* Joins it, if it was started; it must have been stopped. */
void worker_free(struct worker *worker);

/* Accept under this view, and no more under the one before: not even a client that comes when this
 * has returned and finds the worker busy. For a worker that runs. Takes the view. */
void worker_install(struct worker *worker, struct view *view);

/* Some session that waits may find a backend now. Any thread. */
void worker_look_again(struct worker *worker);

/* Some backend drains now, or has had its time to drain: sessions that may leave, leave. */
void worker_drain(struct worker *worker);

/* Fill the list (session_list.h) from its thread, which then tells that it is done. False when the
 * worker has ended, and has no sessions to list. */
bool worker_list(struct worker *worker, struct session_list *list);

/* Accept no more; the thread ends when the last session has. */
void worker_retire(struct worker *worker);

/* The same, and sessions that may leave, leave. */
void worker_stop(struct worker *worker);

/* It has had its time to stop: cut every session but those that await the reply to a final dot, and
 * these once they have it. */
void worker_cut_late(struct worker *worker);

/* Cut every session. */
void worker_cut(struct worker *worker);

/* Whom it has turned away (denied.h). */
struct denied *worker_denied(struct worker *worker);

/* For its sessions, in its thread. */

struct io *worker_io(struct worker *worker);
struct deadlines *worker_deadlines(struct worker *worker);
struct denials *worker_denials(struct worker *worker);
struct view *worker_view(const struct worker *worker); /* in force; NULL once it is retired */
bool worker_is_stopping(const struct worker *worker);
bool worker_is_late(const struct worker *worker);   /* it has had its time to stop */
unsigned worker_index(const struct worker *worker); /* from 0 */
const char *worker_hostname(const struct worker *worker);
uint64_t worker_add(struct worker *worker, struct session *session); /* returns the session's id */
void worker_remove(struct worker *worker, struct session *session);  /* freed a little later */

/* Counts one more session among all workers' max_sessions. False when there is no room for it. */
bool worker_take_room(struct worker *worker);
void worker_give_room(struct worker *worker);

/* The same for one more client that lingers (linger.h), of this worker. */
bool worker_take_linger(struct worker *worker);
void worker_give_linger(struct worker *worker);

/* One descriptor is held in reserve, to answer with where there is none to accept with. Gives it
 * free, if it is held, and holds one again, if there is one: true when it did. */
bool worker_free_reserve(struct worker *worker);
bool worker_hold_reserve(struct worker *worker);

#endif

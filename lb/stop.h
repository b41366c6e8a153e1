/*
 * The stop: gracefully on TERM, with drain_timeout for what is open; at once on INT, or on a second
 * TERM. A process that another has taken over from retires first: what is open may go on as if
 * nothing were, for drain_timeout, and then it stops gracefully. It stops the workers; who waits
 * for the last one ends the loop. Main thread.
 */
#ifndef LB_STOP_H
#define LB_STOP_H

#include "lb/change.h"

#include <ev.h>
#include <stdbool.h>

struct stop {
	struct ev_loop *loop;
	const struct serving *serving;
	bool begun;   /* it accepts no more */
	bool retired; /* since another process does */
	bool drains;  /* and wants its sessions gone */
	ev_signal term, interrupt;
	ev_timer drain; /* this, or what comes before it, has had its time */
};

void stop_init(struct stop *stop, struct ev_loop *loop, const struct serving *serving);

/* Heeds the signals from now on. */
void stop_watch(struct stop *stop);

/* Accepts no more, since another does. */
void stop_retire(struct stop *stop);

/* Stops the workers and cuts all that is open. */
void stop_now(const struct stop *stop);

#endif

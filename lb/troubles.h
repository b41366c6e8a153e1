/*
 * Looks for relays that answer but fail (trouble.h), at even intervals by monotonic time, in all
 * pools that are served; logs when a trouble begins and ends. What is so now stands in each backend
 * (backend.h), and goes from one configuration to the next with it.
 *
 * Main thread.
 */
#ifndef LB_TROUBLES_H
#define LB_TROUBLES_H

#include "lb/change.h"

#include <ev.h>

struct troubles {
	struct ev_loop *loop;
	const struct serving *serving;
	ev_timer look;
};

/* The first look is at once, when the loop runs; something must be served then. */
void troubles_init(struct troubles *troubles, struct ev_loop *loop, const struct serving *serving);
void troubles_fini(struct troubles *troubles); /* fine with all zero */

#endif

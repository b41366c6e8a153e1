/*
 * What a backend has done lately: its replies by class, and how long it took to greet, over the
 * last quarter of an hour, minute by minute. Made from looks at what was counted since the start.
 *
 * Plain counts, no clock: lb/admin/history.c looks. The main thread's.
 */
#ifndef LB_RECENT_H
#define LB_RECENT_H

#include "lb/metrics.h"

#include <stdbool.h>
#include <stdint.h>

enum {
	RECENT_MINUTES = 15,
};

/* What was counted in some time. */
struct growth {
	uint64_t replies[REPLY_CLASSES];         /* to anything, the greeting included */
	uint64_t greetings[DURATION_BOUNDS + 1]; /* as in struct durations */
};

void growth_add(struct growth *sum, const struct growth *more);

/* Of a counter that starts anew, as one does that a reload took out and another brought back,
 * nothing is known for that look: 0. */
uint64_t growth_of_counter(uint64_t now, uint64_t before);

/* What was counted since the start. */
struct growth growth_in_all(const struct backend_counts *counts);

/* All zero at first. */
struct recent {
	struct growth minutes[RECENT_MINUTES]; /* each at its number modulo that */
	uint64_t minute;                       /* of the latest look */
	struct growth seen;                    /* by it, in all */
	bool begun;                            /* there was a look */
};

/* A look in that minute, which is counted from anywhere and never goes back. Returns how much more
 * there is than at the look before, nothing at the first one. */
struct growth recent_see(struct recent *recent, const struct growth *now, uint64_t minute);

/* The sum over the minutes up to that one. */
struct growth recent_sum(const struct recent *recent, uint64_t minute);

#endif

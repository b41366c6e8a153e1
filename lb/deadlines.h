/*
 * The deadlines of a worker's sessions: a heap by time, behind one timer of the loop. All in a
 * worker's thread. Times are clock_ms's.
 */
#ifndef LB_DEADLINES_H
#define LB_DEADLINES_H

#include <ev.h>
#include <stddef.h>
#include <stdint.h>

#define DEADLINE_NEVER UINT64_MAX

/* Part of its owner's memory; zeros when he enters. */
struct deadline {
	uint32_t place; /* in the heap, from 1; 0 = none is set */
};

struct deadlines {
	struct ev_loop *loop;
	ev_timer timer;
	uint64_t timer_ms; /* when it will look */
	struct due *heap;
	size_t count, entered, room;
	void (*passed)(struct deadline *deadline);
};

/* passed: told of each that was set and has passed, and is no longer set. */
void deadlines_init(struct deadlines *deadlines, struct ev_loop *loop,
	void (*passed)(struct deadline *deadline));

void deadlines_fini(struct deadlines *deadlines);

/* One more owner, who may set his from now on. Returns 0, or -1 when there is no memory. */
int deadlines_enter(struct deadlines *deadlines);

/* He sets none any more. */
void deadlines_leave(struct deadlines *deadlines, struct deadline *deadline);

void deadlines_set(struct deadlines *deadlines, struct deadline *deadline, uint64_t at_ms);

/* When it will be; DEADLINE_NEVER when none is set. */
uint64_t deadlines_when(const struct deadlines *deadlines, const struct deadline *deadline);

#endif

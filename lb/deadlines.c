/*
 * See deadlines.h. A binary heap, with room for all who have entered and at most an eighth more.
 * The timer may look too early, for one that was put off since, never too late.
 */
#include "lb/deadlines.h"

#include "lb/clock.h"

#include <assert.h>
#include <stdlib.h>

enum {
	ROOM_AT_FIRST = 64,
};

struct due {
	uint64_t at_ms;
	struct deadline *deadline;
};

static void
put(struct deadlines *deadlines, size_t place, struct due due)
{
	deadlines->heap[place - 1] = due;
	due.deadline->place = (uint32_t)place;
}

static const struct due *
at(const struct deadlines *deadlines, size_t place)
{
	return &deadlines->heap[place - 1];
}

/* From a place that is free, towards the first. */
static void
rise(struct deadlines *deadlines, size_t place, struct due due)
{
	while (place > 1 && at(deadlines, place / 2)->at_ms > due.at_ms) {
		put(deadlines, place, *at(deadlines, place / 2));
		place /= 2;
	}
	put(deadlines, place, due);
}

/* From a place that is free, towards the last. */
static void
sink(struct deadlines *deadlines, size_t place, struct due due)
{
	for (;;) {
		size_t below = place * 2;
		if (below < deadlines->count &&
			at(deadlines, below + 1)->at_ms < at(deadlines, below)->at_ms)
			below++;
		if (below > deadlines->count || at(deadlines, below)->at_ms >= due.at_ms)
			break;
		put(deadlines, place, *at(deadlines, below));
		place = below;
	}
	put(deadlines, place, due);
}

static void
settle(struct deadlines *deadlines, size_t place, struct due due)
{
	if (place > 1 && at(deadlines, place / 2)->at_ms > due.at_ms)
		rise(deadlines, place, due);
	else
		sink(deadlines, place, due);
}

static void
unset(struct deadlines *deadlines, struct deadline *deadline)
{
	size_t place = deadline->place;
	if (place == 0)
		return;
	struct due last = *at(deadlines, deadlines->count);
	deadline->place = 0;
	deadlines->count--;
	if (last.deadline != deadline)
		settle(deadlines, place, last);
}

/* For the first one, if the timer would look later, or not at all. */
static void
arm(struct deadlines *deadlines)
{
	if (deadlines->count == 0)
		return;
	uint64_t first_ms = at(deadlines, 1)->at_ms;
	if (ev_is_active(&deadlines->timer) && deadlines->timer_ms <= first_ms)
		return;
	deadlines->timer_ms = first_ms;
	ev_timer_stop(deadlines->loop, &deadlines->timer);
	ev_timer_set(&deadlines->timer, (double)clock_ms_until(first_ms) / 1000, 0);
	ev_timer_start(deadlines->loop, &deadlines->timer);
}

static void
on_timer(struct ev_loop *loop, ev_timer *timer, int ready)
{
	(void)loop;
	(void)ready;
	struct deadlines *deadlines = timer->data;
	uint64_t now_ms = clock_ms();
	while (deadlines->count > 0 && at(deadlines, 1)->at_ms <= now_ms) {
		struct deadline *deadline = at(deadlines, 1)->deadline;
		unset(deadlines, deadline);
		deadlines->passed(deadline);
	}
	arm(deadlines);
}

void
deadlines_init(struct deadlines *deadlines, struct ev_loop *loop,
	void (*passed)(struct deadline *deadline))
{
	*deadlines = (struct deadlines){.loop = loop, .passed = passed};
	ev_init(&deadlines->timer, on_timer);
	deadlines->timer.data = deadlines;
}

void
deadlines_fini(struct deadlines *deadlines)
{
	ev_timer_stop(deadlines->loop, &deadlines->timer);
	free(deadlines->heap);
}

int
deadlines_enter(struct deadlines *deadlines)
{
	if (deadlines->entered == deadlines->room) {
		size_t room =
			deadlines->room ? deadlines->room + deadlines->room / 8 : ROOM_AT_FIRST;
		struct due *heap = reallocarray(deadlines->heap, room, sizeof(*deadlines->heap));
		if (!heap)
			return -1;
		deadlines->heap = heap;
		deadlines->room = room;
	}
	deadlines->entered++;
	return 0;
}

void
deadlines_leave(struct deadlines *deadlines, struct deadline *deadline)
{
	assert(deadlines->entered > 0);
	unset(deadlines, deadline);
	deadlines->entered--;
}

void
deadlines_set(struct deadlines *deadlines, struct deadline *deadline, uint64_t at_ms)
{
	struct due due = {.at_ms = at_ms, .deadline = deadline};
	if (deadline->place)
		settle(deadlines, deadline->place, due);
	else
		rise(deadlines, ++deadlines->count, due);
	arm(deadlines);
}

uint64_t
deadlines_when(const struct deadlines *deadlines, const struct deadline *deadline)
{
	return deadline->place ? at(deadlines, deadline->place)->at_ms : DEADLINE_NEVER;
}

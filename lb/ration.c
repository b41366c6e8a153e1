/*
 * Rationed lines. Worker's thread, but for the quota, which all workers share.
 */
#include "lb/ration.h"

#include "lb/clock.h"

enum {
	LINES_A_SECOND = 10,
	TOLD_BITS = 32, /* of the quota's word: how many asked; the rest is the second */
};

static const double SUMMARY_S = 1;

/* Takes one of this second's lines, if there is one left. */
static bool
take_line(uint64_t *quota)
{
	uint64_t second = clock_ms() / 1000;
	uint64_t before = __atomic_load_n(quota, __ATOMIC_RELAXED);
	/* Where that fails another thread was faster. */
	if (before >> TOLD_BITS != second)
		__atomic_compare_exchange_n(quota, &before, second << TOLD_BITS, false,
			__ATOMIC_RELAXED, __ATOMIC_RELAXED);
	return (uint32_t)__atomic_fetch_add(quota, 1, __ATOMIC_RELAXED) < LINES_A_SECOND;
}

static void
sum_up(struct ration *ration)
{
	ration->sum_up(ration->untold);
	ration->untold = 0;
}

static void
on_summary(struct ev_loop *loop, ev_timer *timer, int ready)
{
	(void)loop;
	(void)ready;
	sum_up(timer->data);
}

void
ration_init(struct ration *ration, struct ev_loop *loop, uint64_t *quota, ration_sum_fn *sum_up_fn)
{
	*ration = (struct ration){.loop = loop, .quota = quota, .sum_up = sum_up_fn};
	ev_init(&ration->summary, on_summary);
	ration->summary.data = ration;
}

bool
ration_take(struct ration *ration)
{
	if (take_line(ration->quota))
		return true;
	if (ration->untold++ == 0) {
		ev_timer_set(&ration->summary, SUMMARY_S, 0);
		ev_timer_start(ration->loop, &ration->summary);
	}
	return false;
}

void
ration_stop(struct ration *ration)
{
	ev_timer_stop(ration->loop, &ration->summary);
	if (ration->untold > 0)
		sum_up(ration);
}

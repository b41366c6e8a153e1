/*
 * Rise and fall: a random walk against an oracle that looks at the whole history each time.
 */
#include "tests/unit/unit.h"

#include "health/counter.h"

/* The naive reading: the state turns when the last `limit` outcomes since it last turned all speak
 * against it. */
static bool
oracle_is_up(const bool *history, unsigned count, unsigned rise, unsigned fall)
{
	bool up = true;
	unsigned turned = 0;
	for (unsigned now = 1; now <= count; now++) {
		unsigned limit = up ? fall : rise;
		bool against = now - turned >= limit;
		for (unsigned i = 0; against && i < limit; i++)
			against = history[now - 1 - i] != up;
		if (against) {
			up = !up;
			turned = now;
		}
	}
	return up;
}

START_TEST(random_walk)
{
	enum { STEPS = 200 };
	const unsigned seed = 20261124;
	srandom(seed);
	for (unsigned walk = 0; walk < 500; walk++) {
		unsigned rise = 1 + (unsigned)random() % 5;
		unsigned fall = 1 + (unsigned)random() % 5;
		bool history[STEPS];
		bool before = true;
		struct counter counter;
		counter_init(&counter);
		ck_assert(counter.up);
		for (unsigned i = 0; i < STEPS; i++) {
			bool changed;
			/* Mostly as before, so that long runs come about too. */
			history[i] = i > 0 && random() % 3 ? history[i - 1] : random() % 2;
			changed = counter_note(&counter, history[i], rise, fall);
			ck_assert_msg(counter.up == oracle_is_up(history, i + 1, rise, fall),
				"seed %u walk %u step %u rise %u fall %u", seed, walk, i, rise,
				fall);
			ck_assert(changed == (counter.up != before));
			before = counter.up;
		}
	}
}
END_TEST

/* Limits lowered by a reload to what is reached already hold from the next outcome on. */
START_TEST(changed_limits)
{
	struct counter counter;
	counter_init(&counter);
	for (int i = 0; i < 4; i++)
		ck_assert(!counter_note(&counter, false, 2, 5));
	ck_assert(counter_note(&counter, false, 2, 2));
	ck_assert(!counter.up);
}
END_TEST

static void
fill(TCase *cases)
{
	tcase_add_test(cases, random_walk);
	tcase_add_test(cases, changed_limits);
}

UNIT_MAIN("counter", fill)

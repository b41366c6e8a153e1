/*
 * Probe phases: spread evenly however many there are, and kept whatever happens in between.
 */
#include "tests/unit/unit.h"

#include "health/phase.h"

#include <math.h>

enum {
	PHASES = 500,
};

static int
compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

START_TEST(spread_evenly)
{
	for (unsigned count = 1; count <= PHASES; count++) {
		double phases[PHASES + 1];
		for (unsigned i = 0; i < count; i++)
			phases[i] = phase_of(i);
		qsort(phases, count, sizeof(phases[0]), compare);
		phases[count] = phases[0] + 1;
		for (unsigned i = 0; i < count; i++) {
			ck_assert(phases[i] >= 0 && phases[i] < 1);
			ck_assert_msg(
				(phases[i + 1] - phases[i]) * count < 2, "%u of %u", i, count);
			ck_assert_msg(
				(phases[i + 1] - phases[i]) * count > 0.3, "%u of %u", i, count);
		}
	}
}
END_TEST

START_TEST(kept_from_anywhere)
{
	const unsigned seed = 20261124;
	srandom(seed);
	for (unsigned i = 0; i < 100000; i++) {
		double phase = phase_of((unsigned)random() % 1000);
		double elapsed = (double)random() / 1000;
		double interval = (double)(1 + random() % 100000) / 1000;
		double delay = phase_delay(phase, elapsed, interval);
		double at = fmod(elapsed + delay, interval) / interval;
		ck_assert_msg(delay >= interval / 2 && delay <= interval * 1.5, "seed %u step %u",
			seed, i);
		/* On a circle: just below 1 is next to 0. */
		ck_assert_msg(fabs(remainder(at - phase, 1)) < 1e-5, "seed %u step %u", seed, i);
	}
}
END_TEST

/* A timer that fires a little early or late is followed by one interval all the same. */
START_TEST(early_and_late)
{
	ck_assert_double_eq_tol(phase_delay(0.25, 102.499, 10), 10.001, 1e-9);
	ck_assert_double_eq_tol(phase_delay(0.25, 102.501, 10), 9.999, 1e-9);
}
END_TEST

static void
fill(TCase *cases)
{
	tcase_add_test(cases, spread_evenly);
	tcase_add_test(cases, kept_from_anywhere);
	tcase_add_test(cases, early_and_late);
}

UNIT_MAIN("phase", fill)

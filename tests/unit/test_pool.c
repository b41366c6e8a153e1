/*
 * Pools: whose turn it is, from one thread and from many; what takes a backend out and brings it
 * back; what survives a change of members.
 */
#include "lb/clock.h"
#include "tests/unit/pool_fixture.h"
#include "tests/unit/unit.h"

#include <pthread.h>
#include <string.h>

enum {
	THREADS = 4,
	PICKS = 30000, /* a thread; THREADS * PICKS is a multiple of every cycle here */
};

/* By its greetings: the pool's only backend. */
static void
take_out(struct pool *pool)
{
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(pick(pool, ATTEMPT_FAILED), 0);
}

static void
make_trial_due(struct fixture *fixture, struct pool *pool)
{
	probe(fixture, pool, 0, false);
	probe(fixture, pool, 0, true);
}

struct picker {
	struct pool *pool;
	unsigned times[MEMBERS_MAX];
};

static void *
pick_many(void *argument)
{
	struct picker *picker = argument;
	for (int i = 0; i < PICKS; i++)
		picker->times[pick(picker->pool, ATTEMPT_GREETED)]++;
	return NULL;
}

static void
pick_in_threads(struct pool *pool, unsigned *times)
{
	struct picker pickers[THREADS] = {0};
	pthread_t threads[THREADS];
	for (int i = 0; i < THREADS; i++) {
		pickers[i].pool = pool;
		ck_assert_int_eq(pthread_create(&threads[i], NULL, pick_many, &pickers[i]), 0);
	}
	memset(times, 0, MEMBERS_MAX * sizeof(*times));
	for (int i = 0; i < THREADS; i++) {
		pthread_join(threads[i], NULL);
		for (int j = 0; j < MEMBERS_MAX; j++)
			times[j] += pickers[i].times[j];
	}
}

START_TEST(test_exact_over_threads)
{
	struct fixture fixture;
	unsigned times[MEMBERS_MAX];
	struct pool *pool = begin(&fixture, 3, NULL);
	pick_in_threads(pool, times);
	for (int i = 0; i < 3; i++)
		ck_assert_uint_eq(times[i], THREADS * PICKS / 3);
	pool_set_free(fixture.set);
}
END_TEST

START_TEST(test_weights_are_exact_over_threads)
{
	static const unsigned weights[] = {3, 2, 1};
	struct fixture fixture;
	unsigned times[MEMBERS_MAX];
	struct pool *pool = begin(&fixture, 3, weights);
	pick_in_threads(pool, times);
	for (unsigned i = 0; i < 3; i++)
		ck_assert_uint_eq(times[i], THREADS * PICKS / 6 * weights[i]);
	pool_set_free(fixture.set);
}
END_TEST

/* While a probe takes a backend out and in again, picks never fail and nothing is torn. */
START_TEST(test_probes_while_threads_pick)
{
	struct fixture fixture;
	struct pool *pool = begin(&fixture, 2, NULL);
	struct picker picker = {.pool = pool};
	pthread_t thread;
	ck_assert_int_eq(pthread_create(&thread, NULL, pick_many, &picker), 0);
	for (int i = 0; i < 2000; i++)
		probe(&fixture, pool, 0, i % 2);
	pthread_join(thread, NULL);
	ck_assert_uint_eq(picker.times[0] + picker.times[1], PICKS);
	pool_set_free(fixture.set);
}
END_TEST

START_TEST(test_share_of_a_down_backend_is_spread)
{
	struct fixture fixture;
	struct pool *pool = begin(&fixture, 3, NULL);
	unsigned times[3] = {0};
	probe(&fixture, pool, 1, false);
	for (int i = 0; i < 100; i++)
		times[pick(pool, ATTEMPT_GREETED)]++;
	ck_assert_uint_eq(times[0], 50);
	ck_assert_uint_eq(times[1], 0);
	ck_assert_uint_eq(times[2], 50);
	probe(&fixture, pool, 1, true);
	for (int i = 0; i < 3; i++)
		times[pick(pool, ATTEMPT_GREETED)]++;
	ck_assert_uint_eq(times[1], 1);
	pool_set_free(fixture.set);
}
END_TEST

/* The second attempts of sessions whose first one failed go to the others evenly, and leave the
 * rotation of first picks alone. */
START_TEST(test_retries_are_spread)
{
	struct fixture fixture;
	struct pool *pool = begin(&fixture, 3, NULL);
	unsigned firsts[3] = {0}, seconds[3] = {0};
	for (int i = 0; i < 300; i++) {
		struct claim claim = {.client = 0};
		struct pick first, second;
		uint64_t again_ms;
		ck_assert_int_eq(pool_pick(pool, &claim, &first, &again_ms), PICK_DONE);
		firsts[number_of(&first)]++;
		if (number_of(&first) == 0) {
			ck_assert_int_eq(pool_pick(pool, &claim, &second, &again_ms), PICK_DONE);
			seconds[number_of(&second)]++;
			pool_attempted(&second, ATTEMPT_GREETED, NULL);
			pool_release(second.backend);
		}
		pool_attempted(&first, ATTEMPT_ABANDONED, NULL);
		pool_release(first.backend);
	}
	for (int i = 0; i < 3; i++)
		ck_assert_uint_eq(firsts[i], 100);
	ck_assert_uint_eq(seconds[0], 0);
	ck_assert_uint_eq(seconds[1], 50);
	ck_assert_uint_eq(seconds[2], 50);
	pool_set_free(fixture.set);
}
END_TEST

START_TEST(test_each_backend_is_tried_once_a_round)
{
	struct fixture fixture;
	struct pool *pool = begin(&fixture, 4, NULL);
	struct claim claim = {.client = 0};
	struct pick pick;
	uint64_t again_ms;
	for (int i = 0; i < 4; i++) {
		struct tried before = claim.tried;
		ck_assert_int_eq(pool_pick(pool, &claim, &pick, &again_ms), PICK_DONE);
		ck_assert(!tried_has(&before, pick.mark));
		pool_attempted(&pick, ATTEMPT_ABANDONED, NULL);
		pool_release(pick.backend);
	}
	ck_assert_int_eq(pool_pick(pool, &claim, &pick, &again_ms), PICK_ALL_TRIED);
	pool_set_free(fixture.set);
}
END_TEST

/* Three sessions in a row; a greeting in between starts the count anew, a repeated attempt of the
 * same session and an abandoned one don't count. */
START_TEST(test_missed_greetings_take_a_backend_out)
{
	static const enum attempt_outcome steps[] = {ATTEMPT_FAILED, ATTEMPT_FAILED,
		ATTEMPT_GREETED, ATTEMPT_FAILED, ATTEMPT_REPEATED, ATTEMPT_REPEATED,
		ATTEMPT_ABANDONED, ATTEMPT_FAILED};
	struct fixture fixture;
	struct pool *pool = begin(&fixture, 1, NULL);
	for (size_t i = 0; i < sizeof(steps) / sizeof(*steps); i++)
		ck_assert_int_eq(pick(pool, steps[i]), 0);
	ck_assert_int_eq(pick(pool, ATTEMPT_FAILED), 0);
	ck_assert_int_eq(pick(pool, ATTEMPT_FAILED), -1);
	pool_set_free(fixture.set);
}
END_TEST

/* A probe's way back up makes a trial due at once; one session at a time has it. */
START_TEST(test_trial_brings_a_backend_back)
{
	struct fixture fixture;
	struct pool *pool = begin(&fixture, 1, NULL);
	struct claim claim = {.client = 0}, other = {.client = 0};
	struct pick trial, none;
	uint64_t again_ms;
	take_out(pool);
	ck_assert_int_eq(pool_pick(pool, &claim, &trial, &again_ms), PICK_NONE_UP);
	ck_assert_uint_gt(again_ms, clock_ms());
	make_trial_due(&fixture, pool);
	unsigned told = fixture.told_usable;
	ck_assert_int_eq(pool_pick(pool, &claim, &trial, &again_ms), PICK_DONE);
	ck_assert(trial.trial);
	ck_assert_int_eq(pool_pick(pool, &other, &none, &again_ms), PICK_NONE_UP);
	pool_attempted(&trial, ATTEMPT_GREETED, NULL);
	pool_release(trial.backend);
	ck_assert(pool_has_called(&other));
	ck_assert_uint_gt(fixture.told_usable, told);
	pool_leave(pool, &other);
	ck_assert_int_eq(pick(pool, ATTEMPT_GREETED), 0);
	pool_set_free(fixture.set);
}
END_TEST

START_TEST(test_failed_trial_is_postponed)
{
	struct fixture fixture;
	struct pool *pool = begin(&fixture, 1, NULL);
	take_out(pool);
	make_trial_due(&fixture, pool);
	ck_assert_int_eq(pick(pool, ATTEMPT_REPEATED), 0);
	struct claim claim = {.client = 0};
	struct pick none;
	uint64_t again_ms, now = clock_ms();
	ck_assert_int_eq(pool_pick(pool, &claim, &none, &again_ms), PICK_NONE_UP);
	ck_assert_uint_ge(again_ms, now + 1);
	pool_set_free(fixture.set);
}
END_TEST

/* For want of a descriptor, say: due again, but not at once, or whoever waits would spin. */
START_TEST(test_abandoned_trial_is_due_in_a_moment)
{
	struct fixture fixture;
	struct pool *pool = begin(&fixture, 1, NULL);
	take_out(pool);
	make_trial_due(&fixture, pool);
	ck_assert_int_eq(pick(pool, ATTEMPT_ABANDONED), 0);
	struct claim claim = {.client = 0};
	struct pick none;
	uint64_t again_ms, now = clock_ms();
	ck_assert_int_eq(pool_pick(pool, &claim, &none, &again_ms), PICK_NONE_UP);
	ck_assert_uint_gt(again_ms, now);
	ck_assert_uint_le(again_ms, now + 1000);
	pool_set_free(fixture.set);
}
END_TEST

START_TEST(test_ordered_state)
{
	struct fixture fixture;
	struct pool *pool = begin(&fixture, 2, NULL);
	ck_assert_int_eq(pool_order(pool, "relay9", ADMIN_DRAIN, 1000), -1);
	ck_assert_int_eq(pool_order(pool, "relay0", ADMIN_DRAIN, 1000), 0);
	for (int i = 0; i < 4; i++)
		ck_assert_int_eq(pick(pool, ATTEMPT_GREETED), 1);
	ck_assert_int_eq(pool_order(pool, "relay1", ADMIN_MAINT, 1000), 0);
	ck_assert_int_eq(pick(pool, ATTEMPT_GREETED), -1);
	ck_assert_int_eq(pool_order(pool, "relay0", ADMIN_READY, 1000), 0);
	ck_assert_int_eq(pick(pool, ATTEMPT_GREETED), 0);
	pool_set_free(fixture.set);
}
END_TEST

/* A change of members keeps the state of those who stay, and a session may still hold one who
 * went. */
START_TEST(test_state_survives_a_change)
{
	struct fixture fixture;
	struct pool *pool = begin(&fixture, 3, NULL);
	struct claim claim = {.client = 0};
	struct pick held;
	uint64_t again_ms;
	probe(&fixture, pool, 0, false);
	pool_order(pool, "relay1", ADMIN_DRAIN, 1000);
	ck_assert_int_eq(pool_pick(pool, &claim, &held, &again_ms), PICK_DONE);
	ck_assert_int_eq(number_of(&held), 2);
	ck_assert_ptr_eq(configure(&fixture, 2, NULL), pool);
	ck_assert_int_eq(pick(pool, ATTEMPT_GREETED), -1);
	ck_assert_str_eq(held.backend->name, "relay2");
	pool_attempted(&held, ATTEMPT_GREETED, NULL);
	pool_release(held.backend);
	probe(&fixture, pool, 0, true);
	ck_assert_int_eq(pick(pool, ATTEMPT_GREETED), 0);
	pool_set_free(fixture.set);
}
END_TEST

static void
add(TCase *cases)
{
	tcase_add_test(cases, test_exact_over_threads);
	tcase_add_test(cases, test_weights_are_exact_over_threads);
	tcase_add_test(cases, test_probes_while_threads_pick);
	tcase_add_test(cases, test_share_of_a_down_backend_is_spread);
	tcase_add_test(cases, test_retries_are_spread);
	tcase_add_test(cases, test_each_backend_is_tried_once_a_round);
	tcase_add_test(cases, test_missed_greetings_take_a_backend_out);
	tcase_add_test(cases, test_trial_brings_a_backend_back);
	tcase_add_test(cases, test_failed_trial_is_postponed);
	tcase_add_test(cases, test_abandoned_trial_is_due_in_a_moment);
	tcase_add_test(cases, test_ordered_state);
	tcase_add_test(cases, test_state_survives_a_change);
}

UNIT_MAIN("pool", add)

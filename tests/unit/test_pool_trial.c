/*
 * Backends that are out by their greetings: when their trials are due, who makes them, and what
 * else may happen to them meanwhile; and those who are members no more.
 */
#include "lb/clock.h"
#include "tests/unit/pool_fixture.h"
#include "tests/unit/unit.h"

static enum pick_result
pick_as(struct pool *pool, struct claim *claim, struct pick *pick, uint64_t *again_ms)
{
	*pick = (struct pick){.backend = NULL};
	return pool_pick(pool, claim, pick, again_ms);
}

static void
end(const struct pick *pick, enum attempt_outcome outcome)
{
	pool_attempted(pick, outcome, "a test");
	pool_release(pick->backend);
}

/* When somebody who comes now is to come again; 0 for never. */
static uint64_t
next_trial(struct pool *pool)
{
	struct claim claim = {.client = 0};
	struct pick pick;
	uint64_t again_ms;
	ck_assert_int_eq(pick_as(pool, &claim, &pick, &again_ms), PICK_NONE_UP);
	pool_leave(pool, &claim);
	return again_ms;
}

/* Out by its greetings, at once. */
static struct pool *
begin_strict(struct fixture *fixture, size_t count)
{
	begin(fixture, count, NULL);
	fixture->conf.check.greeting_fall = 1;
	return apply(fixture);
}

/* The number of the backend whose trial it is, before its time. It fails. */
static int
fail_early_trial(struct pool *pool)
{
	struct claim claim = {.client = 0};
	struct pick pick;
	if (!pool_pick_early_trial(pool, &claim, &pick))
		return -1;
	ck_assert(pick.trial);
	int number = number_of(&pick);
	end(&pick, ATTEMPT_FAILED);
	return number;
}

START_TEST(test_trials_that_fail_come_ever_more_rarely)
{
	static const uint64_t waits_ms[] = {2000, 4000, 8000, 16000, 30000, 30000};
	struct fixture fixture;
	struct pool *pool = begin_strict(&fixture, 1);
	ck_assert_int_eq(pick(pool, ATTEMPT_FAILED), 0);
	for (size_t i = 0; i < sizeof(waits_ms) / sizeof(waits_ms[0]); i++) {
		uint64_t before = clock_ms();
		ck_assert_int_eq(fail_early_trial(pool), 0);
		uint64_t after = clock_ms(), due = next_trial(pool);
		ck_assert_uint_ge(due, before + waits_ms[i]);
		ck_assert_uint_le(due, after + waits_ms[i]);
	}
	pool_set_free(fixture.set);
}
END_TEST

/* Of several, the one that is due first, wherever it stands. */
START_TEST(test_trials_of_several)
{
	struct fixture fixture;
	struct pool *pool = begin_strict(&fixture, 2);
	ck_assert_int_eq(pick(pool, ATTEMPT_FAILED), 0);
	uint64_t before = clock_ms();
	ck_assert_int_eq(pick(pool, ATTEMPT_FAILED), 1);
	uint64_t after = clock_ms();
	ck_assert_uint_le(next_trial(pool), after + 1000);
	ck_assert_int_eq(fail_early_trial(pool), 0);
	uint64_t due = next_trial(pool); /* the other's */
	ck_assert_uint_ge(due, before + 1000);
	ck_assert_uint_le(due, after + 1000);
	ck_assert_int_eq(fail_early_trial(pool), 1);
	ck_assert_int_eq(fail_early_trial(pool), 0);
	pool_set_free(fixture.set);
}
END_TEST

/* Neither drained nor in maintenance is one tried, nor while its probe says no. */
START_TEST(test_no_trial_of_who_is_out_otherwise)
{
	struct fixture fixture;
	struct pool *pool = begin_strict(&fixture, 1);
	ck_assert_int_eq(pick(pool, ATTEMPT_FAILED), 0);
	for (enum admin_state state = ADMIN_DRAIN; state <= ADMIN_MAINT; state++) {
		pool_order(pool, "relay0", state, 0);
		ck_assert_uint_eq(next_trial(pool), 0);
		ck_assert_int_eq(fail_early_trial(pool), -1);
	}
	pool_order(pool, "relay0", ADMIN_READY, 0);
	ck_assert_uint_gt(next_trial(pool), 0);
	probe(&fixture, pool, 0, false);
	ck_assert_uint_eq(next_trial(pool), 0);
	ck_assert_int_eq(fail_early_trial(pool), -1);
	pool_set_free(fixture.set);
}
END_TEST

/* A trial takes room like any session: who waits for it is called when there is some. */
START_TEST(test_trial_of_a_full_backend_waits)
{
	struct fixture fixture;
	struct pool *pool = begin_strict(&fixture, 1);
	struct claim claim = {.client = 0}, waiter = {.client = 0};
	struct pick held, none;
	uint64_t again_ms;
	fixture.backends[0].max_sessions = 1;
	apply(&fixture);
	ck_assert_int_eq(pick_as(pool, &claim, &held, &again_ms), PICK_DONE);
	pool_attempted(&held, ATTEMPT_FAILED, "a test");
	ck_assert_int_eq(pick_as(pool, &waiter, &none, &again_ms), PICK_NONE_UP);
	ck_assert_uint_eq(again_ms, 0);
	ck_assert(!pool_has_called(&waiter));
	pool_release(held.backend);
	ck_assert(pool_has_called(&waiter));
	ck_assert_int_eq(pick_as(pool, &waiter, &none, &again_ms), PICK_NONE_UP);
	ck_assert_uint_gt(again_ms, 0);
	pool_leave(pool, &waiter);
	pool_set_free(fixture.set);
}
END_TEST

/* Called, it makes a trial before its time: nobody else is left to be called in its place. */
START_TEST(test_early_trial_of_who_was_called)
{
	struct fixture fixture;
	struct pool *pool = begin_strict(&fixture, 1);
	struct claim waiter = {.client = 0};
	struct pick trial;
	uint64_t again_ms;
	ck_assert_int_eq(pick(pool, ATTEMPT_FAILED), 0);
	ck_assert_int_eq(pick_as(pool, &waiter, &trial, &again_ms), PICK_NONE_UP);
	pool_order(pool, "relay0", ADMIN_READY, 0);
	ck_assert(pool_has_called(&waiter));
	unsigned told = fixture.told_usable;
	ck_assert(pool_pick_early_trial(pool, &waiter, &trial));
	ck_assert_uint_eq(fixture.told_usable, told);
	end(&trial, ATTEMPT_GREETED);
	ck_assert_int_eq(pick(pool, ATTEMPT_GREETED), 0);
	pool_set_free(fixture.set);
}
END_TEST

/* What brings one back while its probe says no: the trial's greeting, or that greetings count no
 * more. It is in when the probe says yes, and needs no trial any more. */
START_TEST(test_back_by_greetings_and_down_by_probe)
{
	struct fixture fixture;
	struct pool *pool = begin_strict(&fixture, 1);
	struct claim claim = {.client = 0};
	struct pick picked;
	uint64_t again_ms;
	ck_assert_int_eq(pick(pool, ATTEMPT_FAILED), 0);
	if (_i == 0) {
		ck_assert(pool_pick_early_trial(pool, &claim, &picked));
		probe(&fixture, pool, 0, false);
		end(&picked, ATTEMPT_GREETED);
	} else {
		probe(&fixture, pool, 0, false);
		fixture.conf.check.greeting_fall = 0;
		apply(&fixture);
	}
	ck_assert_uint_eq(next_trial(pool), 0);
	probe(&fixture, pool, 0, true);
	claim_init(&claim, &fixture.backends[0].address);
	ck_assert_int_eq(pick_as(pool, &claim, &picked, &again_ms), PICK_DONE);
	ck_assert(!picked.trial);
	end(&picked, ATTEMPT_GREETED);
	pool_set_free(fixture.set);
}
END_TEST

/* A probe of one whom nobody knows, at this address or at all, and one that says what is known,
 * change nothing and call nobody. */
START_TEST(test_probes_without_news)
{
	struct fixture fixture;
	struct pool *pool = begin_strict(&fixture, 1);
	struct claim waiter = {.client = 0};
	struct pick none;
	uint64_t again_ms;
	struct addr elsewhere = fixture.backends[0].address;
	elsewhere.bytes[3]++;
	probe(&fixture, pool, 0, false);
	ck_assert_int_eq(pick_as(pool, &waiter, &none, &again_ms), PICK_NONE_UP);
	unsigned told = fixture.told_usable;
	probe(&fixture, pool, 0, false);
	pool_probed(pool, "relay0", &elsewhere, true, "a test");
	pool_probed(pool, "relay9", &fixture.backends[0].address, true, "a test");
	ck_assert(!pool_has_called(&waiter));
	ck_assert_uint_eq(fixture.told_usable, told);
	probe(&fixture, pool, 0, true);
	ck_assert(pool_has_called(&waiter));
	pool_leave(pool, &waiter);
	pool_set_free(fixture.set);
}
END_TEST

/* Several who are members no more, but have a session each: who comes back is told from the others
 * by name and by address. */
START_TEST(test_several_who_come_back)
{
	struct fixture fixture;
	struct pool *pool = begin(&fixture, 3, NULL);
	struct pick held[3];
	struct backend_conf old[3];
	for (size_t i = 0; i < 3; i++) {
		struct claim claim = {.client = 0};
		uint64_t again_ms;
		fixture.backends[i].max_sessions = 1;
		apply(&fixture);
		ck_assert_int_eq(pick_as(pool, &claim, &held[i], &again_ms), PICK_DONE);
		ck_assert_int_eq(number_of(&held[i]), (int)i);
	}
	memcpy(old, fixture.backends, sizeof(old));
	fixture.conf.backend_count = 1;
	apply(&fixture);
	/* The name at another address is another one, and has room. */
	fixture.backends[1].address.bytes[3] = 99;
	fixture.conf.backend_count = 2;
	apply(&fixture);
	ck_assert_int_eq(pick(pool, ATTEMPT_GREETED), 1);
	/* Each of the others is full until its own session ends. */
	fixture.backends[1] = old[1];
	apply(&fixture);
	ck_assert_int_eq(pick(pool, ATTEMPT_GREETED), -1);
	end(&held[1], ATTEMPT_GREETED);
	ck_assert_int_eq(pick(pool, ATTEMPT_GREETED), 1);
	fixture.conf.backend_count = 3;
	pool_order(pool, "relay1", ADMIN_DRAIN, 0);
	apply(&fixture);
	ck_assert_int_eq(pick(pool, ATTEMPT_GREETED), -1);
	end(&held[2], ATTEMPT_GREETED);
	ck_assert_int_eq(pick(pool, ATTEMPT_GREETED), 2);
	end(&held[0], ATTEMPT_GREETED);
	pool_set_free(fixture.set);
}
END_TEST

static void
add(TCase *cases)
{
	tcase_add_test(cases, test_trials_that_fail_come_ever_more_rarely);
	tcase_add_test(cases, test_trials_of_several);
	tcase_add_test(cases, test_no_trial_of_who_is_out_otherwise);
	tcase_add_test(cases, test_trial_of_a_full_backend_waits);
	tcase_add_test(cases, test_early_trial_of_who_was_called);
	tcase_add_loop_test(cases, test_back_by_greetings_and_down_by_probe, 0, 2);
	tcase_add_test(cases, test_probes_without_news);
	tcase_add_test(cases, test_several_who_come_back);
}

UNIT_MAIN("pool_trial", add)

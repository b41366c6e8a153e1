/*
 * What is counted of a backend, and what of it survives a change of the pool.
 */
#include "lb/metrics.h"

#include "lb/pool_status.h"
#include "lb/tally.h"
#include "tests/unit/memory_faults.h"
#include "tests/unit/pool_fixture.h"
#include "tests/unit/unit.h"

static const struct {
	uint64_t duration_us;
	size_t place;
} durations[] = {
	{0, 0},
	{500, 0},
	{501, 1},
	{1000, 1},
	{1001, 2},
	{9999, 4},
	{10000, 4},
	{30000000, DURATION_BOUNDS - 1},
	{30000001, DURATION_BOUNDS},
	{UINT64_C(1) << 40, DURATION_BOUNDS},
};

START_TEST(a_duration_counts_once)
{
	struct durations counted = {.sum_us = 0};
	durations_add(&counted, durations[_i].duration_us);
	for (size_t i = 0; i <= DURATION_BOUNDS; i++)
		ck_assert_uint_eq(counted.counts[i], i == durations[_i].place);
	ck_assert_uint_eq(counted.sum_us, durations[_i].duration_us);
}
END_TEST

START_TEST(bounds_rise)
{
	for (size_t i = 1; i < DURATION_BOUNDS; i++)
		ck_assert_uint_gt(duration_bounds_us[i], duration_bounds_us[i - 1]);
}
END_TEST

static const struct {
	unsigned code;
	int place; /* -1: none */
} codes[] = {
	{220, REPLY_CLASS_2},
	{354, REPLY_CLASS_3},
	{421, REPLY_CLASS_4},
	{554, REPLY_CLASS_5},
	{199, -1},
	{600, -1},
	{0, -1},
	{999, -1},
};

START_TEST(a_reply_counts_by_its_first_digit)
{
	struct backend_counts counts = {.sessions = 0};
	backend_counts_reply(&counts, VERB_RCPT, codes[_i].code);
	for (int i = 0; i < VERBS; i++)
		for (int j = 0; j < REPLY_CLASSES; j++)
			ck_assert_uint_eq(
				counts.replies[i][j], i == VERB_RCPT && j == codes[_i].place);
}
END_TEST

/* Survival. */

static struct backend_counts
counts_of(struct pool *pool, size_t number)
{
	struct pool_status status;
	struct backend_counts counts;
	ck_assert_int_eq(pool_look(pool, &status), 0);
	tally_sum(status.backends[number].backend->tally, &counts);
	pool_status_fini(pool, &status);
	return counts;
}

static void
take(struct pool *pool, struct pick *pick)
{
	struct claim claim = {.client = 0};
	uint64_t again_ms;
	ck_assert_int_eq(pool_pick(pool, &claim, pick, &again_ms), PICK_DONE);
}

static void
count_session(const struct pick *pick)
{
	struct backend_counts *counts = tally_block(pick->backend->tally, 0);
	tally_add(&counts->sessions, 1);
}

START_TEST(a_backend_counts_by_its_name)
{
	struct fixture fixture;
	struct pick old, new;
	struct pool *pool = begin(&fixture, 1, NULL);
	take(pool, &old);
	count_session(&old);
	configure(&fixture, 1, NULL);
	ck_assert_uint_eq(counts_of(pool, 0).sessions, 1);
	/* At another address it is another, and a session runs on with the one before. */
	ck_assert_int_eq(addr_parse(&fixture.backends[0].address, "192.0.2.77"), 0);
	apply(&fixture);
	take(pool, &new);
	ck_assert_ptr_ne(old.backend, new.backend);
	count_session(&old);
	count_session(&new);
	ck_assert_uint_eq(counts_of(pool, 0).sessions, 3);
	pool_release(old.backend);
	pool_release(new.backend);
	pool_set_free(fixture.set);
}
END_TEST

START_TEST(a_backend_that_comes_back)
{
	struct fixture fixture;
	struct pick pick;
	struct pool *pool = begin(&fixture, 2, NULL);
	take(pool, &pick);
	count_session(&pick);
	ck_assert_int_eq(number_of(&pick), 0);
	/* The first goes; while it has a session it is not forgotten, wherever it comes back. */
	fixture.conf.backends = &fixture.backends[1];
	fixture.conf.backend_count = 1;
	apply(&fixture);
	count_session(&pick);
	ck_assert_uint_eq(counts_of(pool, 0).sessions, 0);
	configure(&fixture, 2, NULL);
	ck_assert_uint_eq(counts_of(pool, 0).sessions, 2);
	fixture.conf.backends = &fixture.backends[1];
	fixture.conf.backend_count = 1;
	apply(&fixture);
	configure(&fixture, 2, NULL);
	ck_assert_int_eq(addr_parse(&fixture.backends[0].address, "192.0.2.77"), 0);
	apply(&fixture);
	ck_assert_uint_eq(counts_of(pool, 0).sessions, 2);
	pool_release(pick.backend);
	/* And then it is. */
	fixture.conf.backends = &fixture.backends[1];
	fixture.conf.backend_count = 1;
	apply(&fixture);
	configure(&fixture, 2, NULL);
	ck_assert_uint_eq(counts_of(pool, 0).sessions, 0);
	pool_set_free(fixture.set);
}
END_TEST

/* Of those who are gone and not forgotten, the one of that name. */
START_TEST(several_that_are_gone)
{
	struct fixture fixture;
	struct pick picks[3];
	struct pool *pool = begin(&fixture, 3, NULL);
	for (int i = 0; i < 3; i++) {
		take(pool, &picks[i]);
		for (int j = 0; j <= number_of(&picks[i]); j++)
			count_session(&picks[i]);
	}
	fixture.conf.backends = &fixture.backends[2];
	fixture.conf.backend_count = 1;
	apply(&fixture);
	fixture.conf.backends = fixture.backends;
	fixture.conf.backend_count = 3;
	ck_assert_int_eq(addr_parse(&fixture.backends[0].address, "192.0.2.77"), 0);
	ck_assert_int_eq(addr_parse(&fixture.backends[1].address, "192.0.2.78"), 0);
	apply(&fixture);
	for (size_t i = 0; i < 3; i++)
		ck_assert_uint_eq(counts_of(pool, i).sessions, i + 1);
	for (int i = 0; i < 3; i++)
		pool_release(picks[i].backend);
	pool_set_free(fixture.set);
}
END_TEST

START_TEST(probes)
{
	struct fixture fixture;
	struct pool *pool = begin(&fixture, 2, NULL);
	pool_count_probe(pool, "relay1", true);
	pool_count_probe(pool, "relay1", false);
	pool_count_probe(pool, "relay1", false);
	pool_count_probe(pool, "stranger", false);
	struct backend_counts counts = counts_of(pool, 1);
	ck_assert_uint_eq(counts.probes[PROBE_OUTCOME_OK], 1);
	ck_assert_uint_eq(counts.probes[PROBE_OUTCOME_FAIL], 2);
	counts = counts_of(pool, 0);
	ck_assert_uint_eq(counts.probes[PROBE_OUTCOME_OK], 0);
	ck_assert_uint_eq(counts.probes[PROBE_OUTCOME_FAIL], 0);
	pool_set_free(fixture.set);
}
END_TEST

/* Whichever piece there is no memory for, nothing changes. */
START_TEST(no_memory_for_a_new_backend)
{
	struct fixture fixture;
	struct pool *pool = begin(&fixture, 1, NULL);
	unsigned refused = 0;
	fixture.conf.backend_count = 2;
	fixture.backends[1] = fixture.backends[0];
	fixture.backends[1].name = fixture.names[1];
	snprintf(fixture.names[1], sizeof(fixture.names[1]), "relay1");
	struct pool_plan *plan = NULL;
	while (!plan) {
		memory_refused = ++refused;
		plan = pool_plan_new(fixture.set, &fixture.snapshot);
	}
	memory_refused = 0;
	pool_plan_commit(plan);
	ck_assert_uint_gt(refused, 4);
	ck_assert_uint_eq(counts_of(pool, 1).sessions, 0);
	pool_set_free(fixture.set);
}
END_TEST

static void
fill(TCase *cases)
{
	tcase_add_loop_test(
		cases, a_duration_counts_once, 0, sizeof(durations) / sizeof(durations[0]));
	tcase_add_test(cases, bounds_rise);
	tcase_add_loop_test(
		cases, a_reply_counts_by_its_first_digit, 0, sizeof(codes) / sizeof(codes[0]));
	tcase_add_test(cases, a_backend_counts_by_its_name);
	tcase_add_test(cases, a_backend_that_comes_back);
	tcase_add_test(cases, several_that_are_gone);
	tcase_add_test(cases, probes);
	tcase_add_test(cases, no_memory_for_a_new_backend);
}

UNIT_MAIN("metrics", fill)

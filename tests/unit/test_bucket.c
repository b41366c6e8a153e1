/*
 * Token buckets, by a clock that the tests set: full at first, refilled evenly and exactly, held
 * against a count of the tokens one by one.
 */
#include "lb/bucket.h"

#include "tests/unit/random.h"
#include "tests/unit/unit.h"

#include <stdlib.h>
#include <string.h>

enum {
	DAY = 24 * 3600 * 1000,
};

/* How many of so many takes at that moment succeed. */
static unsigned
take(struct bucket *bucket, struct rate_conf rate, uint64_t now_ms, unsigned times)
{
	unsigned taken = 0;
	for (unsigned i = 0; i < times; i++)
		taken += bucket_take(bucket, &rate, now_ms);
	return taken;
}

static const struct {
	const char *name;
	struct {
		uint64_t now_ms;
		struct rate_conf rate;
		unsigned times, taken;
	} steps[8];
} rows[] = {
	{"full at first, and then empty", {{7, {20, 60000}, 25, 20}, {7, {20, 60000}, 1, 0}}},
	{"a token comes back after its time and not a moment before",
		{{1, {20, 60000}, 20, 20}, {3000, {20, 60000}, 2, 0}, {3001, {20, 60000}, 2, 1},
			{6000, {20, 60000}, 2, 0}, {6001, {20, 60000}, 2, 1}}},
	{"half a period brings half", {{1, {20, 60000}, 20, 20}, {30001, {20, 60000}, 20, 10}}},
	{"no more than all", {{1, {3, 1000}, 3, 3}, {DAY, {3, 1000}, 5, 3}}},
	{"just all", {{1, {3, 1000}, 3, 3}, {1000, {3, 1000}, 5, 2}, {1001, {3, 1000}, 5, 1}}},
	{"a rate that does not divide its period",
		{{1, {7, 1000}, 7, 7}, {143, {7, 1000}, 1, 0}, {144, {7, 1000}, 1, 1},
			{286, {7, 1000}, 1, 0}, {287, {7, 1000}, 1, 1}, {429, {7, 1000}, 1, 0},
			{430, {7, 1000}, 1, 1}}},
	{"more tokens than milliseconds", {{1, {1000, 10}, 1001, 1000}, {2, {1000, 10}, 101, 100}}},
	{"one in the longest period",
		{{1, {1, RATE_PERIOD_MAX_MS}, 2, 1},
			{RATE_PERIOD_MAX_MS, {1, RATE_PERIOD_MAX_MS}, 1, 0},
			{RATE_PERIOD_MAX_MS + 1, {1, RATE_PERIOD_MAX_MS}, 1, 1}}},
	{"most in the longest period",
		{{1, {RATE_COUNT_MAX, RATE_PERIOD_MAX_MS}, RATE_COUNT_MAX + 1, RATE_COUNT_MAX},
			{2592, {RATE_COUNT_MAX, RATE_PERIOD_MAX_MS}, 1, 0},
			{2593, {RATE_COUNT_MAX, RATE_PERIOD_MAX_MS}, 2, 1}}},
	{"a clock that seems to go back",
		{{5000, {2, 1000}, 2, 2}, {4000, {2, 1000}, 1, 0}, {5499, {2, 1000}, 1, 0},
			{5500, {2, 1000}, 1, 1}}},
	{"fewer tokens: what was taken counts",
		{{1, {20, 60000}, 4, 4}, {1, {5, 60000}, 3, 1}, {12000, {5, 60000}, 1, 0},
			{12001, {5, 60000}, 1, 1}}},
	{"far fewer tokens: empty, no emptier",
		{{1, {20, 60000}, 20, 20}, {1, {2, 60000}, 1, 0}, {30001, {2, 60000}, 2, 1}}},
	{"more tokens: those above what was taken",
		{{1, {5, 60000}, 5, 5}, {1, {20, 60000}, 20, 15}}},
	{"another period: what was taken counts",
		{{1, {20, 60000}, 15, 15}, {1, {20, 1000}, 10, 5}, {51, {20, 1000}, 2, 1}}},
	{"from the longest period to the shortest and back",
		{{1, {RATE_COUNT_MAX, RATE_PERIOD_MAX_MS}, 10, 10}, {1, {12, 1}, 3, 2},
			{1, {13, RATE_PERIOD_MAX_MS}, 2, 1}}},
	/* A third of a token came back in 7 of 21 ms; what is missing is 2/3, of 7 parts 5. */
	{"a rest is rounded up", {{1, {1, 21}, 1, 1}, {8, {1, 21}, 1, 0}, {8, {1, 7}, 1, 0},
					 {12, {1, 7}, 1, 0}, {13, {1, 7}, 1, 1}}},
};

START_TEST(as_expected)
{
	struct bucket bucket = {0};
	for (unsigned i = 0; rows[_i].steps[i].times; i++) {
		unsigned taken = take(&bucket, rows[_i].steps[i].rate, rows[_i].steps[i].now_ms,
			rows[_i].steps[i].times);
		ck_assert_msg(taken == rows[_i].steps[i].taken, "%s: step %u: %u", rows[_i].name, i,
			taken);
	}
}
END_TEST

/* Who asks all the time gets a token every PERIOD / N, from the first to the last, with no more
 * than the millisecond that the clock can't show between them. */
START_TEST(refills_evenly)
{
	static const struct rate_conf rates[] = {{20, 60000}, {7, 1000}, {1000, 3600000}, {3, 100}};
	struct rate_conf rate = rates[_i];
	struct bucket bucket = {0};
	unsigned count = take(&bucket, rate, 1, rate.count + 1);
	ck_assert_uint_eq(count, rate.count);
	count = 0;
	for (uint64_t now_ms = 1; now_ms <= 1 + 2 * (uint64_t)rate.period_ms; now_ms++) {
		count += take(&bucket, rate, now_ms, 2);
		ck_assert_uint_eq(count, (now_ms - 1) * rate.count / rate.period_ms);
	}
	ck_assert_uint_eq(count, 2 * rate.count);
}
END_TEST

START_TEST(what_is_put_back_can_be_taken)
{
	struct rate_conf rate = {3, 1000};
	struct bucket bucket = {0};
	ck_assert_uint_eq(take(&bucket, rate, 1, 3), 3);
	bucket_put_back(&bucket);
	ck_assert_uint_eq(take(&bucket, rate, 1, 2), 1);
	/* It never holds more than all. */
	ck_assert_uint_eq(take(&bucket, rate, 900, 2), 2);
	ck_assert_uint_eq(take(&bucket, rate, 10000, 1), 1);
	for (unsigned i = 0; i < 3; i++)
		bucket_put_back(&bucket);
	ck_assert_uint_eq(take(&bucket, rate, 10000, 5), 3);
}
END_TEST

/* At any times: the tokens of a bucket that counts in parts of 1/period, from 0 up. */
START_TEST(agrees_with_a_count_of_tokens)
{
	uint64_t state = (uint64_t)_i + 1, now_ms = 1;
	struct rate_conf rate = {1 + random_below(&state, 50), 1 + random_below(&state, 5000)};
	struct bucket bucket = {0};
	uint64_t all = (uint64_t)rate.count * rate.period_ms, have = all;
	for (unsigned i = 0; i < 2000; i++) {
		uint64_t passed = random_below(&state, 4) ? random_below(&state, 40)
							  : random_below(&state, 2000);
		now_ms += passed;
		have += passed * rate.count;
		have = have > all ? all : have;
		bool is_there = have >= rate.period_ms;
		ck_assert_msg(bucket_take(&bucket, &rate, now_ms) == is_there, "seed %d, step %u",
			_i + 1, i);
		have -= is_there ? rate.period_ms : 0;
	}
}
END_TEST

static void
fill(TCase *cases)
{
	tcase_add_loop_test(cases, as_expected, 0, sizeof(rows) / sizeof(rows[0]));
	tcase_add_loop_test(cases, refills_evenly, 0, 4);
	tcase_add_test(cases, what_is_put_back_can_be_taken);
	tcase_add_loop_test(cases, agrees_with_a_count_of_tokens, 0, 50);
}

UNIT_MAIN("bucket", fill)

/*
 * What a backend has done lately, by counts that the tests make up, and how long a share of it
 * took.
 */
#include "lb/recent.h"

#include "tests/unit/unit.h"

#include <string.h>

enum {
	START = 1000, /* minutes, from anywhere */
};

static const struct growth none;

static uint64_t
sum_at(const struct recent *recent, uint64_t minute)
{
	return recent_sum(recent, minute).replies[REPLY_CLASS_2];
}

static uint64_t
see(struct recent *recent, uint64_t replies, uint64_t minute)
{
	struct growth now = {.replies[REPLY_CLASS_2] = replies};
	return recent_see(recent, &now, minute).replies[REPLY_CLASS_2];
}

/* What was counted before the first look is older than anybody knows. */
START_TEST(only_what_is_seen_to_grow)
{
	struct recent recent = {.begun = false};
	ck_assert_uint_eq(sum_at(&recent, START), 0);
	ck_assert_uint_eq(see(&recent, 100, START), 0);
	ck_assert_uint_eq(sum_at(&recent, START), 0);
	ck_assert_uint_eq(see(&recent, 107, START), 7);
	ck_assert_uint_eq(see(&recent, 110, START), 3);
	ck_assert_uint_eq(sum_at(&recent, START), 10);
}
END_TEST

START_TEST(a_minute_is_forgotten_after_its_time)
{
	struct recent recent = {.begun = false};
	uint64_t all = 0, last = START + 3 * RECENT_MINUTES;
	see(&recent, 0, START);
	for (uint64_t minute = START; minute < last; minute++) {
		see(&recent, ++all, minute);
		see(&recent, ++all, minute);
		uint64_t minutes = minute - START + 1;
		ck_assert_uint_eq(sum_at(&recent, minute),
			2 * (minutes < RECENT_MINUTES ? minutes : RECENT_MINUTES));
	}
	/* Nobody looks any more. */
	for (unsigned i = 0; i < RECENT_MINUTES; i++)
		ck_assert_uint_eq(sum_at(&recent, last - 1 + i), 2 * (RECENT_MINUTES - i));
	ck_assert_uint_eq(sum_at(&recent, last - 1 + RECENT_MINUTES), 0);
	ck_assert_uint_eq(sum_at(&recent, last + 100 * RECENT_MINUTES), 0);
}
END_TEST

START_TEST(a_gap_is_empty)
{
	static const unsigned gaps[] = {1, 2, RECENT_MINUTES - 1, RECENT_MINUTES,
		RECENT_MINUTES + 1, 10 * RECENT_MINUTES + 3};
	for (size_t i = 0; i < sizeof(gaps) / sizeof(*gaps); i++) {
		struct recent recent = {.begun = false};
		uint64_t all = 0;
		see(&recent, all, START);
		for (unsigned j = 0; j < RECENT_MINUTES; j++)
			see(&recent, ++all, START + j);
		uint64_t later = START + RECENT_MINUTES - 1 + gaps[i];
		uint64_t left = gaps[i] < RECENT_MINUTES ? RECENT_MINUTES - gaps[i] : 0;
		ck_assert_uint_eq(see(&recent, all + 5, later), 5);
		ck_assert_uint_eq(sum_at(&recent, later), left + 5);
	}
}
END_TEST

START_TEST(a_counter_that_starts_anew)
{
	struct recent recent = {.begun = false};
	see(&recent, 100, START);
	see(&recent, 110, START);
	ck_assert_uint_eq(see(&recent, 4, START), 0);
	ck_assert_uint_eq(see(&recent, 6, START), 2);
	ck_assert_uint_eq(sum_at(&recent, START), 12);
}
END_TEST

/* Each figure goes where it belongs. */
START_TEST(all_figures)
{
	static struct backend_counts counts;
	struct growth twice = none;
	memset(&counts, 0, sizeof(counts));
	for (unsigned i = 0; i < REPLY_CLASSES; i++) {
		counts.replies[VERB_MAIL][i] = i + 1;
		counts.replies[VERB_GREETING][i] = 10;
	}
	for (unsigned i = 0; i <= DURATION_BOUNDS; i++)
		counts.greeting.counts[i] = 100 + i;
	struct growth all = growth_in_all(&counts);
	growth_add(&twice, &all);
	growth_add(&twice, &all);
	struct recent recent = {.begun = false};
	recent_see(&recent, &all, START);
	struct growth more = recent_see(&recent, &twice, START);
	struct growth sum = recent_sum(&recent, START);
	for (unsigned i = 0; i < REPLY_CLASSES; i++) {
		ck_assert_uint_eq(all.replies[i], i + 11);
		ck_assert_uint_eq(sum.replies[i], i + 11);
	}
	for (unsigned i = 0; i <= DURATION_BOUNDS; i++)
		ck_assert_uint_eq(sum.greetings[i], 100 + i);
	ck_assert(!memcmp(&more, &all, sizeof(more)));
}
END_TEST

static const struct {
	const char *name;
	struct {
		unsigned bucket, count;
	} counts[3];
	unsigned percent;
	int64_t us;
} quantiles[] = {
	{"none", {{0, 0}}, 50, -1},
	{"one, in the first: half of its bound", {{0, 1}}, 50, 250},
	{"all of the first", {{0, 100}}, 100, 500},
	{"evenly spread", {{3, 100}}, 50, 3750},
	{"from one bound to the next", {{1, 50}, {2, 50}}, 50, 1000},
	{"into the next", {{1, 50}, {2, 50}}, 75, 1750},
	{"a tail", {{0, 98}, {10, 2}}, 99, 750000},
	{"a tail that is not there yet", {{0, 99}, {10, 1}}, 99, 500},
	{"past every bound", {{DURATION_BOUNDS, 1}}, 50, 30000000},
	{"some past every bound", {{0, 50}, {DURATION_BOUNDS, 50}}, 99, 30000000},
};

START_TEST(how_long_a_share_took)
{
	uint64_t counts[DURATION_BOUNDS + 1] = {0};
	for (int i = 0; i < 3; i++)
		counts[quantiles[_i].counts[i].bucket] += quantiles[_i].counts[i].count;
	ck_assert_msg(durations_quantile_us(counts, quantiles[_i].percent) == quantiles[_i].us,
		"%s: %ld", quantiles[_i].name,
		(long)durations_quantile_us(counts, quantiles[_i].percent));
}
END_TEST

static void
fill(TCase *cases)
{
	tcase_add_test(cases, only_what_is_seen_to_grow);
	tcase_add_test(cases, a_minute_is_forgotten_after_its_time);
	tcase_add_test(cases, a_gap_is_empty);
	tcase_add_test(cases, a_counter_that_starts_anew);
	tcase_add_test(cases, all_figures);
	tcase_add_loop_test(
		cases, how_long_a_share_took, 0, sizeof(quantiles) / sizeof(*quantiles));
}

UNIT_MAIN("recent", fill)

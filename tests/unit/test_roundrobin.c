/*
 * Weighted round robin: exact over a cycle from any moment on, within one of everybody's share in
 * any window when weights are equal, whatever happened before; and what a change of members keeps.
 */
#include "lb/balance_roundrobin.h"
#include "tests/unit/unit.h"

#include <stdio.h>
#include <string.h>

enum {
	MEMBERS_MAX = 12,
	SEEDS = 300,
};

static void
begin(struct rotation *rotation, unsigned count, const unsigned *weights)
{
	int none[MEMBERS_MAX];
	memset(none, -1, sizeof(none));
	memset(rotation, 0, sizeof(*rotation));
	rotation_change(rotation, count, none, weights);
}

static struct member_set
all_but(unsigned count, const char *down)
{
	struct member_set set = {{0}};
	for (unsigned i = 0; i < count; i++) {
		if (!strchr(down, (char)('0' + i)))
			member_set_add(&set, i);
	}
	return set;
}

/* Steps as digits. */
static const char *
take_many(struct rotation *rotation, const struct member_set *among, unsigned steps)
{
	static char text[64];
	for (unsigned i = 0; i < steps; i++)
		text[i] = (char)('0' + rotation_take(rotation, among));
	text[steps] = '\0';
	return text;
}

static const struct row {
	const char *name;
	unsigned weights[6]; /* 0 ends */
	const char *down;    /* a digit for each member that is out */
	const char *steps;   /* a digit a step */
} rows[] = {
	{"one", {1}, "", "000"},
	{"equal", {1, 1, 1}, "", "012012"},
	{"equal but not one", {7, 7}, "", "0101"},
	{"a heavy one", {5, 1, 1}, "", "00012000001200"},
	{"common divisor", {4, 2}, "", "010010"},
	{"one down", {1, 1, 1}, "1", "0202"},
	{"heavy one down", {9, 2, 1}, "0", "121121"},
	{"the first down", {1, 1, 1, 1}, "0", "123123123"},
};

START_TEST(test_steps)
{
	const struct row *row = &rows[_i];
	struct rotation rotation;
	unsigned count = 0;
	while (count < 6 && row->weights[count])
		count++;
	begin(&rotation, count, row->weights);
	struct member_set among = all_but(count, row->down);
	const char *steps = take_many(&rotation, &among, (unsigned)strlen(row->steps));
	ck_assert_msg(strcmp(steps, row->steps) == 0, "%s: %s", row->name, steps);
}
END_TEST

START_TEST(test_nobody)
{
	struct rotation rotation;
	struct member_set nobody = {{0}};
	begin(&rotation, 2, (const unsigned[]){1, 1});
	ck_assert_int_eq(rotation_take(&rotation, &nobody), -1);
}
END_TEST

static unsigned
common_divisor(unsigned a, unsigned b)
{
	return b ? common_divisor(b, a % b) : a;
}

/* A random one with a random past, in which members came and went, and the set that stays from now
 * on. */
struct history {
	struct rotation rotation;
	unsigned weights[MEMBERS_MAX];
	unsigned count;
	struct member_set among;
	unsigned seed;
};

static struct member_set
random_set(struct history *history)
{
	struct member_set set = {{0}};
	for (unsigned i = 0; i < history->count; i++) {
		if (rand_r(&history->seed) % 3)
			member_set_add(&set, i);
	}
	if (member_set_is_empty(&set))
		member_set_add(&set, 0);
	return set;
}

static void
live_through(struct history *history, unsigned seed, unsigned weight_max)
{
	memset(history, 0, sizeof(*history));
	history->seed = seed;
	history->count = 1 + (unsigned)rand_r(&history->seed) % MEMBERS_MAX;
	for (unsigned i = 0; i < history->count; i++)
		history->weights[i] = 1 + (unsigned)rand_r(&history->seed) % weight_max;
	begin(&history->rotation, history->count, history->weights);
	for (int changes = rand_r(&history->seed) % 20; changes > 0; changes--) {
		struct member_set set = random_set(history);
		for (int takes = rand_r(&history->seed) % 20; takes > 0; takes--)
			rotation_take(&history->rotation, &set);
	}
	history->among = random_set(history);
}

START_TEST(test_exact_over_a_cycle_from_any_moment_on)
{
	struct history history;
	int steps[MEMBERS_MAX * 9 * 3];
	unsigned times[MEMBERS_MAX] = {0}, divisor = 0, cycle = 0;
	live_through(&history, (unsigned)_i, 9);
	for (unsigned i = 0; i < history.count; i++) {
		if (!member_set_has(&history.among, i))
			continue;
		divisor = common_divisor(history.weights[i], divisor);
		cycle += history.weights[i];
	}
	cycle /= divisor;
	for (unsigned at = 0; at < 3 * cycle; at++) {
		steps[at] = rotation_take(&history.rotation, &history.among);
		times[steps[at]]++;
		if (at >= cycle)
			times[steps[at - cycle]]--;
		for (unsigned i = 0; at + 1 >= cycle && i < history.count; i++) {
			bool in = member_set_has(&history.among, i);
			ck_assert_uint_eq(times[i], in ? history.weights[i] / divisor : 0);
		}
	}
}
END_TEST

START_TEST(test_equal_weights_are_exact_in_any_window)
{
	struct history history;
	unsigned members = 0, since[MEMBERS_MAX] = {0};
	live_through(&history, (unsigned)_i, 1);
	for (unsigned i = 0; i < history.count; i++)
		members += member_set_has(&history.among, i);
	/* Each is taken every `members` steps: no window tells them apart by more than one. */
	for (unsigned at = 1; at <= 5 * members; at++) {
		int taken = rotation_take(&history.rotation, &history.among);
		ck_assert(member_set_has(&history.among, (size_t)taken));
		if (since[taken])
			ck_assert_uint_eq(at - since[taken], members);
		else
			ck_assert_uint_le(at, members);
		since[taken] = at;
	}
}
END_TEST

/* A member that is out whenever it is its turn: the others share what it misses, and it has no more
 * than its own when it is back. */
START_TEST(test_who_is_often_away)
{
	static const unsigned ones[] = {1, 1, 1};
	struct rotation rotation;
	unsigned times[3] = {0};
	struct member_set all = all_but(3, ""), others = all_but(3, "0");
	begin(&rotation, 3, ones);
	for (int i = 0; i < 300; i++)
		times[rotation_take(&rotation, i % 3 ? &all : &others)]++;
	ck_assert_uint_ge(times[1] + 2, times[2]);
	ck_assert_uint_ge(times[2] + 2, times[1]);
	ck_assert_str_eq(take_many(&rotation, &others, 50) + 49, "2");
	ck_assert_str_eq(take_many(&rotation, &all, 6), "012012");
}
END_TEST

START_TEST(test_change_goes_on_where_it_was)
{
	static const unsigned ones[] = {1, 1, 1, 1};
	static const int gone[] = {0, 2}, moved[] = {1, -1, 0};
	struct rotation rotation;
	begin(&rotation, 3, ones);
	struct member_set three = all_but(3, ""), two = all_but(2, "");
	ck_assert_str_eq(take_many(&rotation, &three, 4), "0120");
	rotation_change(&rotation, 2, gone, ones);
	ck_assert_str_eq(take_many(&rotation, &two, 4), "1010");
	rotation_change(&rotation, 3, moved, ones);
	const char *steps = take_many(&rotation, &three, 6);
	ck_assert_msg(strncmp(steps, steps + 3, 3) == 0, "%s", steps);
	ck_assert_int_eq(steps[0], '0');
}
END_TEST

static void
add(TCase *cases)
{
	tcase_add_loop_test(cases, test_steps, 0, sizeof(rows) / sizeof(*rows));
	tcase_add_test(cases, test_nobody);
	tcase_add_loop_test(cases, test_exact_over_a_cycle_from_any_moment_on, 0, SEEDS);
	tcase_add_loop_test(cases, test_equal_weights_are_exact_in_any_window, 0, SEEDS);
	tcase_add_test(cases, test_who_is_often_away);
	tcase_add_test(cases, test_change_goes_on_where_it_was);
}

UNIT_MAIN("roundrobin", add)

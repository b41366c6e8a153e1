/*
 * The cycle of weighted round robin: exact over a cycle, within one of everybody's share in any
 * window when weights are equal, and blind to members that are not eligible.
 */
#include "lb/balance_roundrobin.h"
#include "tests/unit/unit.h"

#include "conf/snapshot.h"

#include <string.h>

enum {
	CYCLE_ROOM = 4096,
};

static const struct row {
	const char *name;
	unsigned weights[6]; /* 0 ends; */
	const char *down;    /* a digit for each member that is not eligible */
	const char *cycle;   /* a digit a step */
} rows[] = {
	{"one", {1}, "", "0"},
	{"equal", {1, 1, 1}, "", "012"},
	{"equal but not one", {7, 7}, "", "01"},
	{"smooth, not in a row", {5, 1, 1}, "", "0010200"},
	{"common divisor", {4, 2}, "", "010"},
	{"one down", {1, 1, 1}, "1", "02"},
	{"heavy one down", {9, 2, 1}, "0", "121"},
	{"all down", {1, 1}, "01", ""},
};

static size_t
fill(const struct row *row, struct smooth *members, uint64_t *among)
{
	size_t count = 0;
	memset(among, 0, POOL_BACKENDS_MAX / 8);
	for (; count < 6 && row->weights[count]; count++) {
		members[count] = (struct smooth){.weight = row->weights[count]};
		if (!strchr(row->down, (char)('0' + count)))
			bit_set(among, count);
	}
	return count;
}

START_TEST(test_cycles)
{
	const struct row *row = &rows[_i];
	struct smooth members[6];
	uint64_t among[POOL_BACKENDS_MAX / 64];
	uint8_t cycle[CYCLE_ROOM];
	size_t count = fill(row, members, among);
	size_t len = roundrobin_cycle(cycle, members, count, among);
	ck_assert_msg(len == strlen(row->cycle), "%s: length %zu", row->name, len);
	for (size_t i = 0; i < len; i++)
		ck_assert_msg(cycle[i] == row->cycle[i] - '0', "%s: step %zu", row->name, i);
}
END_TEST

/* Random weights: each member stands in the cycle as often as its weight by the divisor. */
START_TEST(test_cycle_is_exact)
{
	unsigned seed = (unsigned)_i + 1;
	struct smooth members[32];
	uint64_t among[POOL_BACKENDS_MAX / 64] = {0};
	static uint8_t cycle[32 * 256];
	unsigned times[32] = {0};
	size_t count = 1 + (size_t)rand_r(&seed) % 32;
	for (size_t i = 0; i < count; i++) {
		members[i] = (struct smooth){.weight = 1 + (unsigned)rand_r(&seed) % 16};
		if (rand_r(&seed) % 4)
			bit_set(among, i);
	}
	size_t len = roundrobin_cycle(cycle, members, count, among);
	for (size_t i = 0; i < len; i++)
		times[cycle[i]]++;
	unsigned divisor = 0;
	for (size_t i = 0; i < count; i++) {
		if (!bit_is_set(among, i)) {
			ck_assert_uint_eq(times[i], 0);
			continue;
		}
		ck_assert_uint_gt(times[i], 0);
		if (!divisor)
			divisor = members[i].weight / times[i];
		ck_assert_msg(
			times[i] * divisor == members[i].weight, "seed %d, member %zu", _i + 1, i);
	}
}
END_TEST

/* What is left over when one member is always taken out: the others share it evenly. */
START_TEST(test_smooth_choice_spreads_evenly)
{
	struct smooth members[3] = {{.weight = 1}, {.weight = 1}, {.weight = 1}};
	uint64_t among[POOL_BACKENDS_MAX / 64] = {6};
	unsigned times[3] = {0};
	for (int i = 0; i < 100; i++)
		times[smooth_choose(members, 3, among)]++;
	ck_assert_uint_eq(times[1], 50);
	ck_assert_uint_eq(times[2], 50);
	among[0] = 0;
	ck_assert_int_eq(smooth_choose(members, 3, among), -1);
}
END_TEST

static void
add(TCase *cases)
{
	tcase_add_loop_test(cases, test_cycles, 0, sizeof(rows) / sizeof(*rows));
	tcase_add_loop_test(cases, test_cycle_is_exact, 0, 200);
	tcase_add_test(cases, test_smooth_choice_spreads_evenly);
}

UNIT_MAIN("roundrobin", add)

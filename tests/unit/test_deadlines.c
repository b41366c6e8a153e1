/*
 * Deadlines: who has passed is told in order, once, and nobody else; whatever was set, put off,
 * brought forward or given up before.
 */
#include "lb/deadlines.h"

#include "lb/clock.h"
#include "tests/unit/random.h"
#include "tests/unit/unit.h"

#include <ev.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

enum {
	OWNERS = 300, /* more than there is room for at first */
	STEPS = 2000,
	DISTANT_MS = 3600 * 1000,
};

struct owner {
	struct deadline deadline;
	bool has_entered;
	uint64_t wanted_ms; /* DEADLINE_NEVER = none */
};

static struct owner owners[OWNERS];
static struct deadlines deadlines;
static uint64_t latest_ms;
static unsigned told;

static struct owner *
owner_of(struct deadline *deadline)
{
	return (struct owner *)((char *)deadline - offsetof(struct owner, deadline));
}

static void
on_passed(struct deadline *deadline)
{
	struct owner *owner = owner_of(deadline);
	ck_assert_uint_le(owner->wanted_ms, clock_ms());
	ck_assert_uint_ge(owner->wanted_ms, latest_ms);
	ck_assert_uint_eq(deadlines_when(&deadlines, deadline), DEADLINE_NEVER);
	latest_ms = owner->wanted_ms;
	owner->wanted_ms = DEADLINE_NEVER;
	told++;
}

static void
set_up(void)
{
	memset(owners, 0, sizeof(owners));
	latest_ms = told = 0;
	deadlines_init(&deadlines, ev_loop_new(0), on_passed);
}

static void
take_down(void)
{
	struct ev_loop *loop = deadlines.loop;
	deadlines_fini(&deadlines);
	ev_loop_destroy(loop);
}

static void
enter(struct owner *owner)
{
	ck_assert_int_eq(deadlines_enter(&deadlines), 0);
	owner->has_entered = true;
	owner->wanted_ms = DEADLINE_NEVER;
}

static void
set(struct owner *owner, uint64_t at_ms)
{
	owner->wanted_ms = at_ms;
	deadlines_set(&deadlines, &owner->deadline, at_ms);
	ck_assert_uint_eq(deadlines_when(&deadlines, &owner->deadline), at_ms);
}

static void
leave(struct owner *owner)
{
	deadlines_leave(&deadlines, &owner->deadline);
	memset(owner, 0, sizeof(*owner));
}

static void
await(unsigned count)
{
	while (told < count)
		ev_run(deadlines.loop, EVRUN_ONCE);
}

/* Half of them are far away: before the others are told they are all there, in any order. */
START_TEST(test_any_order)
{
	uint64_t random = (uint64_t)_i + 1, now_ms = clock_ms();
	unsigned due = 0;
	for (unsigned i = 0; i < STEPS; i++) {
		struct owner *owner = &owners[random_below(&random, OWNERS)];
		bool is_near = random_below(&random, 2);
		if (!owner->has_entered)
			enter(owner);
		else if (random_below(&random, 8) == 0)
			leave(owner);
		else if (is_near)
			set(owner, now_ms - random_below(&random, (unsigned)now_ms));
		else
			set(owner, now_ms + DISTANT_MS + random_below(&random, DISTANT_MS));
	}
	for (unsigned i = 0; i < OWNERS; i++)
		due += owners[i].has_entered && owners[i].wanted_ms <= now_ms;
	ck_assert_uint_gt(due, 0);
	await(due);
	ck_assert_uint_eq(told, due);
	for (unsigned i = 0; i < OWNERS; i++) {
		if (!owners[i].has_entered)
			continue;
		ck_assert_uint_eq(
			deadlines_when(&deadlines, &owners[i].deadline), owners[i].wanted_ms);
		leave(&owners[i]);
	}
}
END_TEST

/* Those to come are awaited, the nearest first, though it was set last. */
START_TEST(test_to_come)
{
	uint64_t now_ms = clock_ms();
	for (unsigned i = 0; i < 3; i++) {
		enter(&owners[i]);
		set(&owners[i], now_ms + 30 - 10 * i);
	}
	await(3);
	ck_assert_uint_eq(latest_ms, now_ms + 30);
}
END_TEST

/* One that was put off after the timer was armed for it. */
START_TEST(test_put_off)
{
	uint64_t now_ms = clock_ms();
	enter(&owners[0]);
	set(&owners[0], now_ms + 1);
	set(&owners[0], now_ms + 20);
	await(1);
}
END_TEST

static unsigned again;

static void
on_passed_again(struct deadline *deadline)
{
	on_passed(deadline);
	if (owner_of(deadline) != &owners[0])
		return;
	if (owners[1].has_entered)
		leave(&owners[1]);
	if (++again < 5)
		set(&owners[0], clock_ms() + 1);
}

/* Who is told may set his again, and give up another's that is due as well. */
START_TEST(test_changes_within)
{
	uint64_t now_ms = clock_ms();
	deadlines.passed = on_passed_again;
	for (unsigned i = 0; i < 2; i++)
		enter(&owners[i]);
	set(&owners[1], now_ms);
	set(&owners[0], now_ms - 1);
	await(5);
	ck_assert_uint_eq(told, 5);
	ck_assert_uint_eq(again, 5);
}
END_TEST

static void
fill(TCase *cases)
{
	tcase_add_checked_fixture(cases, set_up, take_down);
	tcase_add_loop_test(cases, test_any_order, 0, 50);
	tcase_add_test(cases, test_to_come);
	tcase_add_test(cases, test_put_off);
	tcase_add_test(cases, test_changes_within);
}

UNIT_MAIN("deadlines", fill)

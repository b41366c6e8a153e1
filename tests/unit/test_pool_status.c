/*
 * A look at a pool: what keeps a backend down, and since when.
 */
#include "lb/pool_status.h"

#include "lb/wall.h"
#include "tests/unit/pool_fixture.h"
#include "tests/unit/unit.h"

static struct backend_status
look(struct pool *pool)
{
	struct pool_status status;
	ck_assert_int_eq(pool_look(pool, &status), 0);
	ck_assert_uint_eq(status.count, 1);
	struct backend_status first = status.backends[0];
	pool_status_fini(pool, &status);
	return first;
}

static void
expect(struct pool *pool, const char *cause, const char *why)
{
	struct backend_status status = look(pool);
	ck_assert(status.up == (cause == NULL));
	ck_assert(status.up == (status.probe_up && status.greetings_up));
	ck_assert_pstr_eq(status.cause, cause);
	ck_assert_str_eq(status.why, why);
}

START_TEST(why_it_is_down)
{
	static const char missed[] = "3 sessions in a row without a 220, the last: a test";
	struct fixture fixture;
	struct pool *pool = begin(&fixture, 1, NULL);
	expect(pool, NULL, "");
	probe(&fixture, pool, 0, false);
	expect(pool, "probe", "a test");
	probe(&fixture, pool, 0, true);
	expect(pool, NULL, "");
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(pick(pool, ATTEMPT_FAILED), 0);
	expect(pool, "greetings", missed);
	/* By both: the probe's word comes first, and the other's is not forgotten. */
	probe(&fixture, pool, 0, false);
	expect(pool, "probe", "a test");
	probe(&fixture, pool, 0, true);
	expect(pool, "greetings", missed);
	pool_set_free(fixture.set);
}
END_TEST

/* Not from when one more thing keeps it down. */
START_TEST(since_when)
{
	struct fixture fixture;
	uint64_t before = wall_ms();
	struct pool *pool = begin(&fixture, 1, NULL);
	uint64_t first = look(pool).since_ms;
	ck_assert_uint_ge(first, before);
	ck_assert_uint_le(first, wall_ms());
	while (wall_ms() == first)
		;
	probe(&fixture, pool, 0, true);
	ck_assert_uint_eq(look(pool).since_ms, first);
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(pick(pool, ATTEMPT_FAILED), 0);
	uint64_t down = look(pool).since_ms;
	ck_assert_uint_gt(down, first);
	while (wall_ms() == down)
		;
	probe(&fixture, pool, 0, false);
	ck_assert_uint_eq(look(pool).since_ms, down);
	pool_set_free(fixture.set);
}
END_TEST

static void
fill(TCase *cases)
{
	tcase_add_test(cases, why_it_is_down);
	tcase_add_test(cases, since_when);
}

UNIT_MAIN("pool_status", fill)

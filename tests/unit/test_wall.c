/*
 * Wall-clock time as text.
 */
#include "lb/wall.h"

#include "tests/unit/unit.h"

static const struct {
	uint64_t ms;
	const char *text;
} rows[] = {
	{0, "1970-01-01T00:00:00.000Z"},
	{1, "1970-01-01T00:00:00.001Z"},
	{1700000000123, "2023-11-14T22:13:20.123Z"},
	{1709164799999, "2024-02-28T23:59:59.999Z"},
	{1709164800000, "2024-02-29T00:00:00.000Z"},
	{4102444800000, "2100-01-01T00:00:00.000Z"},
};

START_TEST(texts)
{
	char text[WALL_TEXT_MAX];
	ck_assert_str_eq(wall_format(rows[_i].ms, text), rows[_i].text);
}
END_TEST

static void
fill(TCase *cases)
{
	tcase_add_loop_test(cases, texts, 0, sizeof(rows) / sizeof(rows[0]));
}

UNIT_MAIN("wall", fill)

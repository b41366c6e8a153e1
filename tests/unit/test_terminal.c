/*
 * Text for a terminal: what is tamed in it, where its lines end, what a table makes of cells that
 * are too wide.
 */
#include "lb/admin/terminal.h"

#include "lb/admin/show.h"
#include "lb/admin/table.h"
#include "tests/unit/unit.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum {
	OUTPUT_MAX = 8192,
};

/* What is printed from here to the end, where it is compared. */
static FILE *captured;
static int stdout_before;

static void
capture(void)
{
	captured = tmpfile();
	ck_assert_ptr_nonnull(captured);
	fflush(stdout);
	stdout_before = dup(STDOUT_FILENO);
	dup2(fileno(captured), STDOUT_FILENO);
}

static void
expect_captured(const char *expected)
{
	char text[OUTPUT_MAX];
	fflush(stdout);
	dup2(stdout_before, STDOUT_FILENO);
	close(stdout_before);
	rewind(captured);
	text[fread(text, 1, sizeof(text) - 1, captured)] = '\0';
	fclose(captured);
	ck_assert_str_eq(text, expected);
}

static const struct {
	const char *text, *tamed;
} wild[] = {
	{"", ""},
	{"status 503", "status 503"},
	{"a\tb\nc\rd\033[31me\177", "a?b?c?d?[31me?"},
	{"\xc2\x9b"
	 "31m\xc2\xa0\xc3\x9f",
		"??31m\xc2\xa0\xc3\x9f"},
	{"\xc2", "\xc2"},
};

START_TEST(control_bytes_are_tamed)
{
	char text[64];
	snprintf(text, sizeof(text), "%s", wild[_i].text);
	terminal_tame(text);
	ck_assert_str_eq(text, wild[_i].tamed);
}
END_TEST

static const struct {
	const char *text;
	size_t width, piece;
} pieces[] = {
	{"", 5, 0},
	{"short", 5, 5},
	{"longer", 5, 5},
	{"two words", 5, 3},
	{"two words", 3, 3},
	{"two words", 2, 2},
	{"    words", 3, 3},
	{" words", 3, 3},
	{"aaaa\xe6\x97\xa5", 5, 4},
	{"aaaa\xe6\x97\xa5", 6, 4},
	{"aaaa\xe6\x97\xa5", 7, 7},
	{"\xe6\x97\xa5\xe6\x97\xa5", 1, 1},
};

START_TEST(a_line_ends_in_time)
{
	ck_assert_uint_eq(terminal_piece(pieces[_i].text, pieces[_i].width), pieces[_i].piece);
}
END_TEST

START_TEST(long_text_goes_on_below)
{
	char text[200];
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	text[60] = ' ';
	capture();
	terminal_print(text, 0, 4);
	char expected[300];
	snprintf(expected, sizeof(expected), "%.60s\n    %.76s\n    %.62s\n", text, text + 61,
		text + 61);
	expect_captured(expected);
}
END_TEST

START_TEST(a_table_that_fits)
{
	static const char *const titles[] = {"NAME", ">COUNT", "STATE", "", NULL};
	struct table table;
	table_init(&table, titles);
	table_add(&table, COLOUR_NONE, "relay%d", 1);
	table_add(&table, COLOUR_GOOD, "7");
	table_add(&table, COLOUR_BAD, "do\033wn");
	table_add(&table, COLOUR_NONE, "%s", "");
	table_note(&table, "why", "it\tdoes not answer");
	table_note(&table, "and", "so on");
	table_add(&table, COLOUR_NONE, "relay2");
	table_add(&table, COLOUR_NONE, "1234567");
	table_add(&table, COLOUR_NONE, "%s", "");
	table_add(&table, COLOUR_NONE, "backup");
	capture();
	table_print(&table, 2);
	table_fini(&table);
	expect_captured("  NAME      COUNT  STATE\n"
			"  relay1        7  do?wn\n"
			"          why  it?does not answer\n"
			"          and  so on\n"
			"  relay2  1234567         backup\n");
}
END_TEST

START_TEST(cells_that_are_too_wide_go_on_below)
{
	static const char *const titles[] = {"NAME", "OF", ">N", NULL};
	struct table table;
	char name[64];
	memset(name, 'n', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	table_init(&table, titles);
	table_add(&table, COLOUR_NONE, "%s", name);
	table_add(&table, COLOUR_NONE, "%s here", name);
	table_add(&table, COLOUR_NONE, "5");
	table_note(&table, "by", "x");
	capture();
	table_print(&table, 0);
	table_fini(&table);
	char expected[OUTPUT_MAX];
	snprintf(expected, sizeof(expected),
		"%-37s  %-38s  N\n%.37s  %.38s  5\n%-37.26s  %.25s here\n"
		"            by  x\n",
		"NAME", "OF", name, name, name, name);
	expect_captured(expected);
}
END_TEST

static const struct {
	long long ms;
	const char *text;
} ages[] = {
	{0, "0ms"},
	{1999, "1999ms"},
	{2000, "2s"},
	{119999, "119s"},
	{120000, "2m"},
	{7200000, "2h"},
	{172800000, "2d"},
	{8640000000, "100d"},
};

START_TEST(ages_are_short)
{
	char text[SHOW_AGE_MAX];
	ck_assert_str_eq(show_age(ages[_i].ms, text), ages[_i].text);
}
END_TEST

static void
fill(TCase *cases)
{
	tcase_add_loop_test(cases, control_bytes_are_tamed, 0, sizeof(wild) / sizeof(*wild));
	tcase_add_loop_test(cases, a_line_ends_in_time, 0, sizeof(pieces) / sizeof(*pieces));
	tcase_add_test(cases, long_text_goes_on_below);
	tcase_add_test(cases, a_table_that_fits);
	tcase_add_test(cases, cells_that_are_too_wide_go_on_below);
	tcase_add_loop_test(cases, ages_are_short, 0, sizeof(ages) / sizeof(*ages));
}

UNIT_MAIN("terminal", fill)

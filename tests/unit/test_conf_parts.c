/*
 * The small parts of the configuration: numbers and durations, the near miss, the cleaning of the
 * text.
 */
#include "conf/suggest.h"
#include "conf/text.h"
#include "conf/unit.h"
#include "tests/unit/unit.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#define COUNT(rows) (sizeof(rows) / sizeof((rows)[0]))

/* ms is UINT64_MAX and why says a part of the reason where the text is none. */
static const struct {
	const char *text;
	uint64_t ms;
	const char *why;
} durations[] = {
	{"0", 0, NULL},
	{"0ms", 0, NULL},
	{"0d", 0, NULL},
	{"1ms", 1, NULL},
	{"0010s", 10000, NULL},
	{"11m", 660000, NULL},
	{"2h", 7200000, NULL},
	{"3d", 259200000, NULL},
	{"18446744073709551615ms", UINT64_MAX, NULL},
	{"18446744073709551616ms", 0, "too large"},
	{"18446744073709552s", 0, "too large"},
	{"213503982335d", 0, "too large"},
	{"213503982334d", 213503982334ULL * 86400000, NULL},
	{"10", 0, "needs a unit"},
	{"10 s", 0, "unknown unit"},
	{"10S", 0, "unknown unit"},
	{"1m30s", 0, "unknown unit"},
	{"1.5s", 0, "unknown unit"},
	{"", 0, "not a duration"},
	{"s", 0, "not a duration"},
	{"-1s", 0, "not a duration"},
	{" 1s", 0, "not a duration"},
	{"+1s", 0, "not a duration"},
	{"0x1s", 0, "unknown unit"},
};

START_TEST(parses_durations)
{
	for (size_t i = 0; i < COUNT(durations); i++) {
		uint64_t ms;
		const char *why = "";
		int result = unit_parse_duration(&ms, durations[i].text, &why);
		ck_assert_msg(
			result == (durations[i].why ? -1 : 0), "%s: %s", durations[i].text, why);
		if (result == 0)
			ck_assert_msg(
				ms == durations[i].ms, "%s: %ju", durations[i].text, (uintmax_t)ms);
		else
			ck_assert_msg(
				strstr(why, durations[i].why), "%s: %s", durations[i].text, why);
	}
}
END_TEST

static const struct {
	uint64_t ms;
	const char *text;
} formatted[] = {
	{0, "0s"},
	{1, "1ms"},
	{1500, "1500ms"},
	{1000, "1s"},
	{90000, "90s"},
	{660000, "11m"},
	{86400000, "1d"},
	{UINT64_MAX, "18446744073709551615ms"},
};

START_TEST(formats_durations)
{
	for (size_t i = 0; i < COUNT(formatted); i++) {
		char buf[DURATION_TEXT_MAX];
		ck_assert_str_eq(unit_format_duration(formatted[i].ms, buf), formatted[i].text);
	}
}
END_TEST

static const struct {
	const char *text;
	int result;
	uint64_t number;
} numbers[] = {
	{"0", 0, 0},
	{"0025", 0, 25},
	{"18446744073709551615", 0, UINT64_MAX},
	{"18446744073709551616", -1, 0},
	{"184467440737095516150", -1, 0},
	{"", -1, 0},
	{"-1", -1, 0},
	{"1k", -1, 0},
	{"0x10", -1, 0},
};

START_TEST(parses_numbers)
{
	for (size_t i = 0; i < COUNT(numbers); i++) {
		uint64_t number;
		const char *why;
		int result = unit_parse_number(&number, numbers[i].text, &why);
		ck_assert_msg(result == numbers[i].result, "%s", numbers[i].text);
		if (result == 0)
			ck_assert_msg(number == numbers[i].number, "%s", numbers[i].text);
	}
}
END_TEST

static const char *const possible[] = {
	"greeting_timeout",
	"greeting_budget",
	"tls",
	"tls_ca",
	"port",
	"path",
	"rise",
	"d",
};

static const struct {
	const char *word;
	const char *best; /* NULL: none */
} suggestions[] = {
	{"greting_timeout", "greeting_timeout"},
	{"greeting_tiemout", "greeting_timeout"}, /* swapped */
	{"Greeting_Timeout", "greeting_timeout"},
	{"greetingtimeouts", "greeting_timeout"},
	{"greeting_buget", "greeting_budget"},
	{"gretngtimout", NULL}, /* four slips */
	{"prot", "port"},
	{"pot", "port"},
	{"pah", "path"},
	{"tsl", "tls"},
	{"tls_cc", "tls_ca"},
	{"xyz", NULL},
	{"x", NULL},
	{"", NULL},
};

START_TEST(suggests_the_near_miss)
{
	for (size_t i = 0; i < COUNT(suggestions); i++) {
		struct suggest suggest = {.word = suggestions[i].word};
		for (size_t k = 0; k < COUNT(possible); k++)
			suggest_offer(&suggest, possible[k]);
		const char *best = suggest.best ? suggest.best : "none";
		const char *expected = suggestions[i].best ? suggestions[i].best : "none";
		ck_assert_msg(strcmp(best, expected) == 0, "%s: %s", suggestions[i].word, best);
	}
}
END_TEST

START_TEST(suggests_nothing_for_a_monster)
{
	char word[200];
	memset(word, 'a', sizeof(word) - 1);
	word[sizeof(word) - 1] = '\0';
	struct suggest suggest = {.word = word};
	suggest_offer(&suggest, word + 1);
	ck_assert_ptr_null(suggest.best);
	suggest.word = "aaaaaaaaaaaa";
	suggest_offer(&suggest, word);
	ck_assert_ptr_null(suggest.best);
}
END_TEST

START_TEST(suggests_the_nearest)
{
	struct suggest suggest = {.word = "timeout"};
	suggest_offer(&suggest, "timeuot");
	ck_assert_str_eq(suggest.best, "timeuot");
	suggest_offer(&suggest, "tiemeut");
	suggest_offer(&suggest, "timout");
	ck_assert_str_eq(suggest.best, "timeuot");
	suggest_offer(&suggest, "timeout");
	ck_assert_str_eq(suggest.best, "timeout");
	ck_assert_uint_eq(suggest.distance, 0);
}
END_TEST

static const struct {
	const char *raw;
	const char *clean;
	unsigned line; /* of the problem */
	const char *what;
} texts[] = {
	{"a = b", "a = b", 0, NULL},
	{"", "", 0, NULL},
	{"\n\n", "", 0, NULL},
	{"a=b # c\nd=e", "a=b    \nd=e", 0, NULL},
	{"a=b#c", "a=b", 0, NULL},
	{"a=b // c\nd", "a=b     \nd", 0, NULL},
	{"a=b//c d", "a=b//c d", 0, NULL},
	{"a=//c\nd", "a=   \nd", 0, NULL},
	{"a=http://b", "a=http://b", 0, NULL},
	{"{//c\n}", "{   \n}", 0, NULL},
	{"\"a\"//c\nd", "\"a\"   \nd", 0, NULL},
	{"a=b/* c\n *//d", "a=b    \n   /d", 0, NULL},
	{"/**/a", "    a", 0, NULL},
	{"/*/*/a", "     a", 0, NULL},
	{"/***/a", "     a", 0, NULL},
	{"# /*\na", "    \na", 0, NULL},
	{"// \"\na", "    \na", 0, NULL},
	{"/* ' */a", "       a", 0, NULL},
	{"\"# // /* */ {\"", "\"# // /* */ {\"", 0, NULL},
	{"'# // /* */ }'", "'# // /* */ }'", 0, NULL},
	{"\"a\\\"#\" # b", "\"a\\\"#\"", 0, NULL},
	{"'a\\'#' # b", "'a\\'#'", 0, NULL},
	{"\"\\\\\"#b", "\"\\\\\"", 0, NULL},
	{"'${a}'", "'${a}'", 0, NULL},
	{"a=$b", "a=$b", 0, NULL},
	{"a\r\nb\r\n", "a \nb", 0, NULL},
	{"a\tb", "a\tb", 0, NULL},
	{"a\n/*\n", "a\n", 2, "never closed"},
	{"a /*/", "a ", 1, "never closed"},
	{"a\n\"b\nc\"", "a\n", 2, "not closed on its line"},
	{"a\n'b", "a\n", 2, "not closed on its line"},
	{"\"a\\", "", 1, "not closed on its line"},
	{"\"a\\\nb\"", "", 1, "not closed on its line"},
	{"a \"\\n\"", "a ", 1, "escape"},
	{"a \"\x01\"", "a ", 1, "control byte"},
	{"a \x7f", "a ", 1, "control byte"},
	{"/*\n*/ {\n{\n}", "  \n   {\n{\n}", 2, "never closed"},
	{"{\n}\n}", "{\n}\n", 3, "closes nothing"},
	{"a += b", "a ", 1, "+="},
	{"a = b+c", "a = b", 1, "no meaning"},
	{"a = *", "a = ", 1, "no meaning"},
	{"a(b)", "a", 1, "no meaning"},
	{"a = ${b}", "a = ", 1, "${"},
	{"a = \"${b}\"", "a = ", 1, "${"},
};

START_TEST(cleans_texts)
{
	for (size_t i = 0; i < COUNT(texts); i++) {
		char text[100];
		struct problem problem = {0};
		size_t len = strlen(texts[i].raw);
		memcpy(text, texts[i].raw, len);
		text_clean(text, len, &problem);
		ck_assert_msg(strcmp(text, texts[i].clean) == 0, "row %zu: %s\n%s", i, texts[i].raw,
			text);
		ck_assert_msg(problem.line == texts[i].line, "row %zu: line %u, %s", i,
			problem.line, problem.what);
		if (texts[i].what)
			ck_assert_msg(strstr(problem.what, texts[i].what), "row %zu: %s", i,
				problem.what);
	}
}
END_TEST

/* Whatever the text, all that is left stands where it stood, and every newline with it. */
START_TEST(keeps_every_place)
{
	static const char bytes[] = "ab/*#\"'\\\n\n {}=,$+\t\r\x01";
	unsigned seed = 20240229;
	for (unsigned round = 0; round < 200000; round++) {
		char raw[24], text[25];
		struct problem problem = {0};
		for (size_t i = 0; i < sizeof(raw); i++)
			raw[i] = bytes[(unsigned)rand_r(&seed) % (sizeof(bytes) - 1)];
		memcpy(text, raw, sizeof(raw));
		text_clean(text, sizeof(raw), &problem);
		size_t len = strlen(text);
		ck_assert_uint_le(len, sizeof(raw));
		for (size_t i = 0; i < len; i++)
			ck_assert_msg(text[i] == raw[i] || (text[i] == ' ' && raw[i] != '\n'),
				"seed 20240229, round %u: %.24s", round, raw);
	}
}
END_TEST

START_TEST(keeps_the_first_problem)
{
	struct problem problem = {0};
	problem_note(&problem, 5, "%s", "five");
	problem_note(&problem, 6, "six");
	problem_note(&problem, 5, "again");
	ck_assert_str_eq(problem.what, "five");
	problem_note(&problem, 4, "four");
	ck_assert_str_eq(problem.what, "four");
	ck_assert_uint_eq(problem.line, 4);
}
END_TEST

START_TEST(reads_whole_files)
{
	static const size_t sizes[] = {0, 1, 4095, 4096, 4097, 100000, TEXT_MAX - 1};
	char path[] = "/tmp/smtplb-test-XXXXXX";
	int fd = mkstemp(path);
	ck_assert_int_ge(fd, 0);
	for (size_t i = 0; i < COUNT(sizes); i++) {
		ck_assert_int_eq(ftruncate(fd, (off_t)sizes[i]), 0);
		size_t len;
		char *text = text_read(path, &len);
		ck_assert_ptr_nonnull(text);
		ck_assert_uint_eq(len, sizes[i]);
		ck_assert_int_eq(text[len], '\0');
		free(text);
	}
	size_t len;
	ck_assert_int_eq(ftruncate(fd, TEXT_MAX), 0);
	ck_assert_ptr_null(text_read(path, &len));
	ck_assert_int_eq(errno, EFBIG);
	unlink(path);
	close(fd);
	ck_assert_ptr_null(text_read(path, &len));
	ck_assert_int_eq(errno, ENOENT);
	ck_assert_ptr_null(text_read("/", &len));
	ck_assert_int_eq(errno, EISDIR);
}
END_TEST

static void
fill(TCase *tcase)
{
	tcase_add_test(tcase, parses_durations);
	tcase_add_test(tcase, formats_durations);
	tcase_add_test(tcase, parses_numbers);
	tcase_add_test(tcase, suggests_the_near_miss);
	tcase_add_test(tcase, suggests_nothing_for_a_monster);
	tcase_add_test(tcase, suggests_the_nearest);
	tcase_add_test(tcase, cleans_texts);
	tcase_add_test(tcase, keeps_every_place);
	tcase_add_test(tcase, keeps_the_first_problem);
	tcase_add_test(tcase, reads_whole_files);
}

UNIT_MAIN("conf_parts", fill)

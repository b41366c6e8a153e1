/*
 * Configurations in files, each with the report that loading it gives: tests/unit/data/conf/README
 * says how to add one. Runs from the top of the tree.
 */
#include "conf/snapshot.h"
#include "tests/unit/unit.h"

#include <glob.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char data_folder[] = "tests/unit/data/conf";
static glob_t files;

static const char cut_mark[] = "...";

static bool
is_expected(const char *got, const char *expected)
{
	size_t len = strlen(expected), mark = sizeof(cut_mark) - 1;
	if (len >= mark && strcmp(expected + len - mark, cut_mark) == 0)
		return strncmp(got, expected, len - mark) == 0;
	return strcmp(got, expected) == 0;
}

/* The next line without its end, "" behind the last. */
static const char *
next_line(FILE *file, char *line, int size)
{
	if (!fgets(line, size, file))
		line[0] = '\0';
	line[strcspn(line, "\n")] = '\0';
	return line;
}

static void
hold_against(const struct report *report, FILE *expected, const char *name)
{
	char line[2000], got[2000];
	for (size_t i = 0; i < report->count; i++) {
		const struct report_entry *entry = &report->entries[i];
		snprintf(got, sizeof(got), "%s%s", entry->warning ? "warning: " : "", entry->text);
		next_line(expected, line, sizeof(line));
		ck_assert_msg(is_expected(got, line), "%s, message %zu\ngot      %s\nexpected %s",
			name, i + 1, got, line);
	}
	next_line(expected, line, sizeof(line));
	ck_assert_msg(!*line, "%s: missing: %s", name, line);
}

START_TEST(reports_as_expected)
{
	ck_assert_int_eq(chdir(data_folder), 0);
	const char *conf = files.gl_pathv[_i] + sizeof(data_folder);
	char path[256];
	snprintf(path, sizeof(path), "%.*s.report", (int)(strlen(conf) - strlen(".conf")), conf);
	FILE *expected = fopen(path, "r");
	ck_assert_msg(expected, "%s is missing", path);

	struct report report;
	report_init(&report);
	struct snapshot *snapshot = snapshot_load(conf, &report);
	hold_against(&report, expected, conf);
	ck_assert_msg(!snapshot == (report.errors > 0), "%s: errors and outcome disagree", conf);
	snapshot_unref(snapshot);
	report_fini(&report);
	fclose(expected);
}
END_TEST

/* libconfuse's parser is global: whatever one file does to it, the next must not notice. */
START_TEST(bad_one_spoils_no_other)
{
	ck_assert_int_eq(chdir(data_folder), 0);
	for (size_t i = 0; i < files.gl_pathc; i++) {
		struct report report;
		report_init(&report);
		snapshot_unref(snapshot_load(files.gl_pathv[i] + sizeof(data_folder), &report));
		report_fini(&report);
		report_init(&report);
		struct snapshot *snapshot = snapshot_load("interface.conf", &report);
		ck_assert_msg(snapshot, "after %s: %s", files.gl_pathv[i],
			report.count ? report.entries[0].text : "");
		snapshot_unref(snapshot);
		report_fini(&report);
	}
}
END_TEST

static void
fill(TCase *tcase)
{
	char pattern[64];
	snprintf(pattern, sizeof(pattern), "%s/*.conf", data_folder);
	if (glob(pattern, 0, NULL, &files) != 0)
		exit(EXIT_FAILURE);
	tcase_add_loop_test(tcase, reports_as_expected, 0, (int)files.gl_pathc);
	tcase_add_test(tcase, bad_one_spoils_no_other);
}

UNIT_MAIN("conf_reports", fill)

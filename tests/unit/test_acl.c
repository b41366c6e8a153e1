/*
 * Whole rule sets: every case below tests/unit/data/acl (its README says how to add one), and what
 * those can't say.
 */
#include "tests/unit/unit.h"

#include "acl/acl.h"

#include <glob.h>
#include <stdio.h>
#include <string.h>

#define DATA "tests/unit/data/acl/"

enum {
	LINE_MAX_BYTES = 512,
	ACL_LINE = 1000,
};

/* The next line that says something, cut to `text`, its number in *line; NULL at the end. */
static char *
next_line(FILE *file, char text[LINE_MAX_BYTES], unsigned *line)
{
	while (fgets(text, LINE_MAX_BYTES, file)) {
		++*line;
		text[strcspn(text, "\n")] = '\0';
		if (text[0] && text[0] != '#')
			return text;
	}
	return NULL;
}

static FILE *
open_data(const char *name, const char *suffix)
{
	char path[256];
	snprintf(path, sizeof(path), DATA "%s%s", name, suffix);
	return fopen(path, "r");
}

/* Two passes: acl_new has to know about `open` first. */
static bool
says_open(FILE *file)
{
	char text[LINE_MAX_BYTES];
	unsigned line = 0;
	bool open = false;
	while (next_line(file, text, &line))
		open |= strcmp(text, "open") == 0;
	rewind(file);
	return open;
}

/* "country PATH" or "asn PATH"; false when it is neither. */
static bool
read_geo(struct acl *acl, const char *text, struct geo *geo[GEO_KINDS])
{
	for (enum geo_kind kind = GEO_ASN; kind < GEO_KINDS; kind++) {
		const char *word = geo_kind_name(kind);
		size_t len = strlen(word);
		char why[GEO_WHY_MAX] = "";
		if (strncmp(text, word, len) != 0 || text[len] != ' ')
			continue;
		geo[kind] = geo_load(kind, text + len + 1, NULL, why);
		ck_assert_msg(geo[kind], "%s: %s", text, why);
		acl_use_geo(acl, geo[kind]);
		return true;
	}
	return false;
}

static struct acl *
load_rules(const char *name, struct geo *geo[GEO_KINDS], struct report *report)
{
	char file_name[128];
	char text[LINE_MAX_BYTES];
	unsigned line = 0;
	FILE *file = open_data(name, ".rules");
	ck_assert_ptr_nonnull(file);
	snprintf(file_name, sizeof(file_name), "%s.rules", name);
	struct acl *acl = acl_new("test", file_name, ACL_LINE, says_open(file));
	while (next_line(file, text, &line)) {
		if (strncmp(text, "allow ", 6) == 0)
			acl_add_item(acl, ACL_ALLOW, text + 6, file_name, line, report);
		else if (strncmp(text, "deny ", 5) == 0)
			acl_add_item(acl, ACL_DENY, text + 5, file_name, line, report);
		else if (!read_geo(acl, text, geo))
			ck_assert_msg(strcmp(text, "open") == 0, "%s:%u", file_name, line);
	}
	fclose(file);
	return acl;
}

static void
expect_verdicts(const char *name, const struct acl *acl, FILE *file)
{
	char text[LINE_MAX_BYTES];
	unsigned line = 0;
	while (next_line(file, text, &line)) {
		struct addr source;
		char said[LINE_MAX_BYTES];
		char *expected = strchr(text, ' ');
		ck_assert_ptr_nonnull(expected);
		*expected++ = '\0';
		ck_assert_msg(addr_parse(&source, text) == 0, "%s.verdicts:%u", name, line);
		struct verdict verdict = acl_decide(acl, &source);
		int len = snprintf(said, sizeof(said), "%s ", verdict.allowed ? "allow" : "deny");
		verdict_format(&verdict, said + len, sizeof(said) - (size_t)len);
		ck_assert_msg(strcmp(said, expected) == 0, "%s.verdicts:%u: %s: %s, not %s", name,
			line, text, said, expected);
	}
	ck_assert_uint_gt(line, 0);
}

/* The report says what stands in the file, NULL for nothing, and nothing else. */
static void
expect_report(const char *name, const struct report *report, FILE *file)
{
	char text[LINE_MAX_BYTES];
	unsigned line = 0;
	size_t count = 0;
	while (file && next_line(file, text, &line)) {
		ck_assert_msg(count < report->count, "%s, report, line %u: not said", name, line);
		const char *said = report->entries[count++].text;
		ck_assert_msg(
			strstr(said, text) == said, "%s, report, line %u: %s", name, line, said);
	}
	ck_assert_msg(count == report->count, "%s: %s", name, report->entries[count].text);
}

static void
run_case(const char *name)
{
	struct report report;
	struct geo *geo[GEO_KINDS] = {NULL};
	report_init(&report);
	struct acl *acl = load_rules(name, geo, &report);
	int sealed = acl_seal(acl, &report);
	FILE *verdicts = open_data(name, ".verdicts");
	FILE *errors = open_data(name, ".errors");
	FILE *warnings = open_data(name, ".warnings");
	ck_assert_msg(!verdicts != !errors, "%s: .verdicts or .errors, one of them", name);
	expect_report(name, &report, errors ? errors : warnings);
	ck_assert_int_eq(sealed, errors ? -1 : 0);
	if (verdicts)
		expect_verdicts(name, acl, verdicts);
	FILE *files[] = {verdicts, errors, warnings};
	for (size_t i = 0; i < sizeof(files) / sizeof(*files); i++)
		if (files[i])
			fclose(files[i]);
	acl_free(acl);
	for (size_t i = 0; i < GEO_KINDS; i++)
		geo_free(geo[i]);
	report_fini(&report);
}

START_TEST(cases_in_files)
{
	glob_t found;
	ck_assert_int_eq(glob(DATA "*.rules", 0, NULL, &found), 0);
	for (size_t i = 0; i < found.gl_pathc; i++) {
		char *name = found.gl_pathv[i] + strlen(DATA);
		name[strlen(name) - strlen(".rules")] = '\0';
		run_case(name);
	}
	globfree(&found);
}
END_TEST

START_TEST(names_and_counts)
{
	struct report report;
	report_init(&report);
	char file[] = "conf";
	struct acl *acl = acl_new("senders", file, 3, false);
	acl_add_item(acl, ACL_ALLOW, "10.0.0.0/8", file, 4, &report);
	acl_add_item(acl, ACL_DENY, "10.0.0.0/8", file, 5, &report);
	acl_add_item(acl, ACL_ALLOW, "::1", file, 6, &report);
	ck_assert_int_eq(acl_seal(acl, &report), 0);
	memset(file, 'x', sizeof(file) - 1);
	ck_assert_str_eq(acl_name(acl), "senders");
	ck_assert_uint_eq(acl_count(acl), 2);
	struct addr source;
	ck_assert_int_eq(addr_parse(&source, "10.0.0.1"), 0);
	struct verdict verdict = acl_decide(acl, &source);
	ck_assert_str_eq(verdict.rule.file, "conf");
	char text[64];
	ck_assert_str_eq(verdict_format(&verdict, text, sizeof(text)), "conf:5 deny 10.0.0.0/8");
	ck_assert_str_eq(verdict_format(&verdict, text, 7), "conf:5");
	acl_free(acl);
	acl_free(NULL);
	report_fini(&report);
}
END_TEST

/* One bad line, and not even the good ones before it are in force. */
START_TEST(nothing_of_a_bad_list)
{
	struct report report;
	report_init(&report);
	struct acl *acl = acl_new("senders", "conf", 1, false);
	acl_add_item(acl, ACL_ALLOW, "198.51.100.0/24", "conf", 2, &report);
	acl_add_item(acl, ACL_ALLOW, "file:" DATA "lists/bad", "conf", 3, &report);
	acl_add_item(acl, ACL_ALLOW, "203.0.113.0/24", "conf", 4, &report);
	ck_assert_uint_eq(report.errors, 2);
	ck_assert_int_eq(acl_seal(acl, &report), -1);
	ck_assert_uint_eq(acl_count(acl), 2);
	acl_free(acl);
	report_fini(&report);
}
END_TEST

START_TEST(where_an_allow_list_begins)
{
	struct report report;
	unsigned line;
	report_init(&report);
	struct acl *acl = acl_new("senders", "conf", 1, false);
	acl_add_item(acl, ACL_DENY, "198.51.100.0/24", "conf", 2, &report);
	ck_assert_str_eq(acl_allow_place(acl, &line), "conf");
	ck_assert_uint_eq(line, 1);
	acl_add_item(acl, ACL_ALLOW, "203.0.113.0/24", "conf", 3, &report);
	acl_add_item(acl, ACL_ALLOW, "192.0.2.0/24", "conf", 4, &report);
	ck_assert_str_eq(acl_allow_place(acl, &line), "conf");
	ck_assert_uint_eq(line, 3);
	acl_free(acl);
	report_fini(&report);
}
END_TEST

/* A database that no rule needs is not read. */
START_TEST(needs_a_database_for_its_rules_only)
{
	struct report report;
	struct acl_rule rule;
	report_init(&report);
	struct acl *acl = acl_new("senders", "conf", 1, false);
	acl_add_item(acl, ACL_ALLOW, "203.0.113.0/24", "conf", 2, &report);
	acl_add_item(acl, ACL_ALLOW, "asn:64500", "conf", 3, &report);
	acl_add_item(acl, ACL_DENY, "asn:64501", "conf", 4, &report);
	ck_assert(!acl_needs_geo(acl, GEO_COUNTRY, &rule));
	ck_assert(acl_needs_geo(acl, GEO_ASN, &rule));
	ck_assert_uint_eq(rule.line, 3);
	ck_assert_int_eq(rule.kind, RULE_ASN);
	ck_assert_uint_eq(rule.value, 64500);
	acl_free(acl);
	report_fini(&report);
}
END_TEST

static void
fill(TCase *cases)
{
	tcase_add_test(cases, cases_in_files);
	tcase_add_test(cases, names_and_counts);
	tcase_add_test(cases, nothing_of_a_bad_list);
	tcase_add_test(cases, where_an_allow_list_begins);
	tcase_add_test(cases, needs_a_database_for_its_rules_only);
}

UNIT_MAIN("acl", fill)

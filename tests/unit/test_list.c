/*
 * List files on the disk: includes, loops, what is no list, and rules that know where they stand.
 * Works in a temporary folder of its own.
 */
#include "tests/unit/unit.h"

#include "acl/list.h"

#include <fcntl.h>
#include <ftw.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[] = "/tmp/smtplb-test-XXXXXX";
static struct report report;
static char rules[8192]; /* "NAME:LINE + PREFIX" a line, NAME without its folder */

static void
set_up(void)
{
	memcpy(strrchr(folder, '-'), "-XXXXXX", 7);
	ck_assert_ptr_nonnull(mkdtemp(folder));
	report_init(&report);
	rules[0] = '\0';
}

static int
remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st, (void)type, (void)ftw;
	return remove(path);
}

static void
tear_down(void)
{
	report_fini(&report);
	nftw(folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

/* Writes a file in which each @ stands for the folder. */
static void
write_file(const char *name, const char *text)
{
	char path[256];
	snprintf(path, sizeof(path), "%s/%s", folder, name);
	FILE *file = fopen(path, "w");
	ck_assert_ptr_nonnull(file);
	for (; *text; text++)
		if (*text == '@')
			fputs(folder, file);
		else
			fputc(*text, file);
	fclose(file);
}

static void
on_rule(void *context, const struct acl_rule *rule)
{
	(void)context;
	char prefix[PREFIX_TEXT_MAX];
	size_t len = strlen(rules);
	const char *name = strrchr(rule->file, '/');
	snprintf(rules + len, sizeof(rules) - len, "%s:%u %c %s\n", name ? name + 1 : rule->file,
		rule->line, rule->action == ACL_ALLOW ? '+' : '-',
		prefix_format(&rule->prefix, prefix));
}

static void
on_dunno(void *context, const struct prefix *prefix, const char *file, unsigned line)
{
	(void)context;
	char text[PREFIX_TEXT_MAX];
	size_t len = strlen(rules);
	snprintf(rules + len, sizeof(rules) - len, "%s:%u ? %s\n", strrchr(file, '/') + 1, line,
		prefix_format(prefix, text));
}

static const struct list_handler handler = {.rule = on_rule, .dunno = on_dunno};

/* Returns whether the order may matter. */
static bool
load_as(enum list_format format, const char *name, enum acl_action action)
{
	char path[256];
	snprintf(path, sizeof(path), "%s/%s", folder, name);
	return list_load(format, path, action, "conf", 9, &handler, NULL, &report);
}

static bool
load(const char *name, enum acl_action action)
{
	return load_as(LIST_MYNETWORKS, name, action);
}

/* The only message is this one, in which each @ stands for the folder. */
static void
assert_message(const char *expected)
{
	char text[1024];
	size_t len = 0;
	for (; *expected && len < sizeof(text) - sizeof(folder); expected++)
		if (*expected == '@')
			len += (size_t)snprintf(text + len, sizeof(text) - len, "%s", folder);
		else
			text[len++] = *expected;
	text[len] = '\0';
	ck_assert_uint_eq(report.count, 1);
	ck_assert_str_eq(report.entries[0].text, text);
}

START_TEST(includes)
{
	write_file("a", "10.0.0.0/8\n@/b !@/c\n192.0.2.1\n");
	write_file("b", "\n\n198.51.100.0/24\n");
	write_file("c", "10.1.0.0/16\n@/d\n");
	write_file("d", "10.2.0.0/16");
	load("a", ACL_ALLOW);
	ck_assert_uint_eq(report.count, 0);
	ck_assert_str_eq(rules, "a:1 + 10.0.0.0/8\nb:3 + 198.51.100.0/24\nc:1 - 10.1.0.0/16\n"
				"d:1 - 10.2.0.0/16\na:3 + 192.0.2.1/32\n");
}
END_TEST

START_TEST(twice_the_same)
{
	write_file("a", "@/b @/b !@/b @/c\n");
	write_file("b", "10.0.0.0/8\n");
	write_file("c", "@/b\n192.0.2.1\n");
	load("a", ACL_ALLOW);
	ck_assert_uint_eq(report.count, 0);
	ck_assert_str_eq(rules, "b:1 + 10.0.0.0/8\nb:1 - 10.0.0.0/8\nc:2 + 192.0.2.1/32\n");
}
END_TEST

START_TEST(loop)
{
	write_file("a", "@/b\n");
	write_file("b", "10.0.0.0/8\n!@/c\n");
	write_file("c", "192.0.2.1 @/d\n@/b\n");
	write_file("d", "192.0.2.2");
	load("a", ACL_ALLOW);
	assert_message("@/c:2: an include loop: @/b includes @/c includes @/b; take out one of "
		       "these includes");
}
END_TEST

START_TEST(loop_by_another_name)
{
	char link[256];
	snprintf(link, sizeof(link), "%s/link", folder);
	ck_assert_int_eq(symlink("a", link), 0);
	write_file("a", "@/link\n");
	load("a", ACL_ALLOW);
	assert_message("@/a:1: an include loop: @/a includes @/a; take out one of these includes");
}
END_TEST

/* Without the record of files read, this would be 6^15 of them. */
START_TEST(includes_that_multiply)
{
	for (unsigned i = 0; i < LIST_DEPTH_MAX; i++) {
		char name[16], text[64];
		snprintf(name, sizeof(name), "f%u", i);
		snprintf(text, sizeof(text), "@/f%u @/f%u @/f%u @/f%u @/f%u @/f%u", i + 1, i + 1,
			i + 1, i + 1, i + 1, i + 1);
		write_file(name, i + 1 < LIST_DEPTH_MAX ? text : "10.0.0.0/8");
	}
	load("f0", ACL_ALLOW);
	ck_assert_uint_eq(report.count, 0);
	ck_assert_str_eq(rules, "f15:1 + 10.0.0.0/8\n");
}
END_TEST

START_TEST(too_deep)
{
	for (unsigned i = 0; i <= LIST_DEPTH_MAX; i++) {
		char name[16], text[64];
		snprintf(name, sizeof(name), "f%u", i);
		snprintf(text, sizeof(text), "@/f%u", i + 1);
		write_file(name, text);
	}
	load("f0", ACL_ALLOW);
	assert_message("@/f15:1: can't read the list @/f16: includes are nested too deep; include "
		       "it from further up");
}
END_TEST

#define TABLE_WARNING                                                                             \
	"a cidr: table in a list: Postfix takes whatever it finds there for a match, REJECT and " \
	"DUNNO too; here OK allows and REJECT denies"

START_TEST(table)
{
	write_file("t", "10.0.0.0/8 OK\n10.1.0.0/16 REJECT\n10.2.0.0/16 DUNNO\n");
	ck_assert(load_as(LIST_CIDR, "t", ACL_ALLOW));
	ck_assert_uint_eq(report.count, 0);
	ck_assert_str_eq(rules, "t:1 + 10.0.0.0/8\nt:2 - 10.1.0.0/16\nt:3 ? 10.2.0.0/16\n");
}
END_TEST

START_TEST(included_table)
{
	write_file("a", "192.0.2.1 cidr:@/t\n192.0.2.2\n");
	write_file("t", "10.0.0.0/8 OK\n10.1.0.0/16 DUNNO\n10.2.0.0/16 REJECT\n");
	ck_assert(load("a", ACL_ALLOW));
	assert_message("@/a:1: " TABLE_WARNING);
	ck_assert_str_eq(rules, "a:1 + 192.0.2.1/32\nt:1 + 10.0.0.0/8\nt:3 - 10.2.0.0/16\n"
				"a:2 + 192.0.2.2/32\n");
}
END_TEST

START_TEST(table_turned_round)
{
	write_file("a", "10.0.0.0/8\n!cidr:@/t");
	write_file("t", "10.1.0.0/16 REJECT\n10.2.0.0/16 OK\n");
	load("a", ACL_ALLOW);
	ck_assert_uint_eq(report.errors, 1);
	ck_assert_ptr_nonnull(strstr(report.entries[0].text, "t:2: OK: has no meaning in a deny"));
	ck_assert_str_eq(rules, "a:1 + 10.0.0.0/8\nt:1 - 10.1.0.0/16\n");
}
END_TEST

/* The file is open as a list when it comes again, as a table. */
START_TEST(table_loop)
{
	write_file("a", "cidr:@/a\n");
	load("a", ACL_ALLOW);
	ck_assert_uint_eq(report.errors, 1);
	ck_assert_ptr_nonnull(strstr(report.entries[0].text, "a:1: an include loop: "));
}
END_TEST

/* What is fine as a list is none as a table: it is read again. */
START_TEST(list_and_table)
{
	write_file("a", "@/b cidr:@/b\n");
	write_file("b", "10.0.0.0/8\n");
	load("a", ACL_ALLOW);
	ck_assert_uint_eq(report.errors, 1);
	ck_assert_ptr_nonnull(strstr(report.entries[0].text, "b:1: 10.0.0.0/8: no action"));
	ck_assert_str_eq(rules, "b:1 + 10.0.0.0/8\n");
}
END_TEST

START_TEST(missing_table)
{
	ck_assert(!load_as(LIST_CIDR, "none", ACL_ALLOW));
	assert_message("conf:9: can't read the table @/none: No such file or directory");
}
END_TEST

START_TEST(order_that_may_matter)
{
	write_file("one", "10.0.0.0/8 192.0.2.1\n");
	write_file("two", "10.0.0.0/8 !192.0.2.1\n");
	write_file("ok", "10.0.0.0/8 OK\n");
	write_file("dunno", "10.0.0.0/8 REJECT\n11.0.0.0/8 DUNNO\n");
	ck_assert(!load("one", ACL_ALLOW));
	ck_assert(!load("one", ACL_DENY));
	ck_assert(load("two", ACL_ALLOW));
	ck_assert(!load_as(LIST_CIDR, "ok", ACL_ALLOW));
	ck_assert(load_as(LIST_CIDR, "dunno", ACL_DENY));
}
END_TEST

START_TEST(missing)
{
	load("none", ACL_ALLOW);
	assert_message("conf:9: can't read the list @/none: No such file or directory");
}
END_TEST

START_TEST(missing_include)
{
	write_file("a", "10.0.0.0/8\n@/none\n");
	load("a", ACL_ALLOW);
	assert_message("@/a:2: can't read the list @/none: No such file or directory");
}
END_TEST

START_TEST(directory)
{
	load(".", ACL_ALLOW);
	assert_message("conf:9: can't read the list @/.: is a directory; name a file");
}
END_TEST

START_TEST(fifo)
{
	char path[256];
	snprintf(path, sizeof(path), "%s/fifo", folder);
	ck_assert_int_eq(mkfifo(path, 0600), 0);
	load("fifo", ACL_ALLOW);
	assert_message("conf:9: can't read the list @/fifo: is not a regular file");
}
END_TEST

START_TEST(huge)
{
	char path[256];
	snprintf(path, sizeof(path), "%s/huge", folder);
	write_file("huge", "");
	ck_assert_int_eq(truncate(path, (off_t)LIST_BYTES_MAX + 1), 0);
	load("huge", ACL_ALLOW);
	assert_message("conf:9: can't read the list @/huge: is larger than 256 MB; is it a list at "
		       "all?");
}
END_TEST

START_TEST(empty)
{
	write_file("a", "");
	load("a", ACL_ALLOW);
	ck_assert_uint_eq(report.errors, 0);
	assert_message("@/a: a list without an entry");
}
END_TEST

START_TEST(size_unknown_before)
{
	/* In /proc every file says that it is empty. */
	list_load(LIST_MYNETWORKS, "/proc/version", ACL_ALLOW, "conf", 9, &handler, NULL, &report);
	ck_assert_uint_gt(report.errors, 0);
	ck_assert_ptr_nonnull(strstr(report.entries[0].text, "/proc/version:1: Linux: not an"));
}
END_TEST

static void
fill(TCase *cases)
{
	tcase_add_checked_fixture(cases, set_up, tear_down);
	tcase_add_test(cases, includes);
	tcase_add_test(cases, twice_the_same);
	tcase_add_test(cases, loop);
	tcase_add_test(cases, loop_by_another_name);
	tcase_add_test(cases, includes_that_multiply);
	tcase_add_test(cases, too_deep);
	tcase_add_test(cases, table);
	tcase_add_test(cases, included_table);
	tcase_add_test(cases, table_turned_round);
	tcase_add_test(cases, table_loop);
	tcase_add_test(cases, list_and_table);
	tcase_add_test(cases, missing_table);
	tcase_add_test(cases, order_that_may_matter);
	tcase_add_test(cases, missing);
	tcase_add_test(cases, missing_include);
	tcase_add_test(cases, directory);
	tcase_add_test(cases, fifo);
	tcase_add_test(cases, huge);
	tcase_add_test(cases, empty);
	tcase_add_test(cases, size_unknown_before);
}

UNIT_MAIN("list", fill)

/*
 * The list parser: a text in, its rules and complaints out.
 */
#include "tests/unit/unit.h"

#include "acl/mynetworks.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define ROWS(table) (sizeof(table) / sizeof(*(table)))

/* What the parser says, a line an item: "LINE + PREFIX" and "LINE - PREFIX" for allow and deny, the
 * same with a path for an include, "cidr:" before a table's; after them the report. */
struct outcome {
	char text[8192];
	size_t len;
};

__attribute__((format(printf, 2, 3))) static void
say(struct outcome *outcome, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	int len = vsnprintf(
		outcome->text + outcome->len, sizeof(outcome->text) - outcome->len, format, args);
	va_end(args);
	outcome->len += (size_t)len;
	ck_assert_uint_lt(outcome->len, sizeof(outcome->text));
}

static void
on_prefix(void *context, enum acl_action action, const struct prefix *prefix, unsigned line)
{
	char text[PREFIX_TEXT_MAX];
	say(context, "%u %c %s\n", line, action == ACL_ALLOW ? '+' : '-',
		prefix_format(prefix, text));
}

static void
on_include(void *context, enum acl_action action, const char *path, unsigned line)
{
	say(context, "%u %c %s\n", line, action == ACL_ALLOW ? '+' : '-', path);
}

static void
on_table(void *context, enum acl_action action, const char *path, unsigned line)
{
	say(context, "%u %c cidr:%s\n", line, action == ACL_ALLOW ? '+' : '-', path);
}

static void
parse(struct outcome *outcome, enum acl_action action, const char *in, size_t len)
{
	const struct mynetworks_handler handler = {
		.prefix = on_prefix, .include = on_include, .table = on_table, .context = outcome};
	struct report report;
	report_init(&report);
	/* Exactly the room that the contract asks for, so that a sanitizer sees any more. */
	char *text = malloc(len + 1);
	memcpy(text, in, len);
	text[len] = 'x';
	outcome->len = 0;
	outcome->text[0] = '\0';
	mynetworks_parse(text, len, "L", action, &handler, &report);
	free(text);
	for (size_t i = 0; i < report.count; i++)
		say(outcome, "%s %s\n", report.entries[i].warning ? "W" : "E",
			report.entries[i].text);
	report_fini(&report);
}

struct good_row {
	const char *in;
	const char *out;
};

static const struct good_row good[] = {
	{"10.0.0.0/8\n", "1 + 10.0.0.0/8\n"},
	{"10.0.0.0/8", "1 + 10.0.0.0/8\n"},
	{"10.0.0.0/8\r\n192.0.2.1\r\n", "1 + 10.0.0.0/8\n2 + 192.0.2.1/32\n"},
	{"10.0.0.0/8\r", "1 + 10.0.0.0/8\n"},
	{"10.0.0.0/8 192.0.2.1", "1 + 10.0.0.0/8\n1 + 192.0.2.1/32\n"},
	{"10.0.0.0/8,192.0.2.1", "1 + 10.0.0.0/8\n1 + 192.0.2.1/32\n"},
	{" ,\t10.0.0.0/8 ,, 192.0.2.1,\n,\n", "1 + 10.0.0.0/8\n1 + 192.0.2.1/32\n"},
	{"\n\n10.0.0.0/8\n\n192.0.2.1\n\n", "3 + 10.0.0.0/8\n5 + 192.0.2.1/32\n"},
	{"#x\n10.0.0.0/8\n#192.0.2.1\n", "2 + 10.0.0.0/8\n"},
	{"# caf\xe9 \xe2\x82\xac, /etc/passwd\n10.0.0.0/8\n", "2 + 10.0.0.0/8\n"},
	{"!10.0.0.0/8\n192.0.2.1", "1 - 10.0.0.0/8\n2 + 192.0.2.1/32\n"},
	{"[2001:db8::]/32 [::1] ![2001:db8:1::]/48",
		"1 + 2001:db8::/32\n1 + ::1/128\n1 - 2001:db8:1::/48\n"},
	{"[::ffff:10.0.0.0]/104", "1 + 10.0.0.0/8\n"},
	{"/etc/a !/etc/b\n/etc/c,10.0.0.0/8",
		"1 + /etc/a\n1 - /etc/b\n2 + /etc/c\n2 + 10.0.0.0/8\n"},
	{"10.0.0.0/8 # x", "1 + 10.0.0.0/8\nW L:1: a # in mid-line: Postfix wants comments on "
			   "lines of their own\n"},
	{"10.0.0.0/8\n192.0.2.1\t#x\n # y 198.51.100.1\n",
		"1 + 10.0.0.0/8\n2 + 192.0.2.1/32\nW L:2: a # in mid-line: Postfix wants comments "
		"on lines of their own (and 1 more here)\n"},
	{"2001:db8::/32\n::1",
		"1 + 2001:db8::/32\n2 + ::1/128\nW L:1: an IPv6 address without brackets: Postfix "
		"takes it for a lookup table; write [2001:db8::]/32 (and 1 more here)\n"},
	{"cidr:/etc/a 10.0.0.0/8\n!cidr:/etc/b,/etc/c",
		"1 + cidr:/etc/a\n1 + 10.0.0.0/8\n2 - cidr:/etc/b\n2 + /etc/c\n"
		"W L:1: a cidr: table in a list: Postfix takes whatever it finds there for a "
		"match, REJECT and DUNNO too; here OK allows and REJECT denies (and 1 more "
		"here)\n"},
	{"", "W L: a list without an entry\n"},
	{"\n", "W L: a list without an entry\n"},
	{"#10.0.0.0/8", "W L: a list without an entry\n"},
	{" , \n", "W L: a list without an entry\n"},
};

static void
check_good_lists(const struct good_row *row)
{
	struct outcome outcome;
	parse(&outcome, ACL_ALLOW, row->in, strlen(row->in));
	ck_assert_str_eq(outcome.text, row->out);
}

START_TEST(good_lists)
{
	for (size_t i = 0; i < ROWS(good); i++)
		check_good_lists(&good[i]);
}
END_TEST

START_TEST(deny_list)
{
	struct outcome outcome;
	static const char in[] = "10.0.0.0/8\n/etc/a\n!192.0.2.1 198.51.100.1\n";
	parse(&outcome, ACL_DENY, in, strlen(in));
	ck_assert_str_eq(outcome.text,
		"1 - 10.0.0.0/8\n2 - /etc/a\n3 - 198.51.100.1/32\n"
		"E L:3: !192.0.2.1: a ! has no meaning in a deny list; put the pattern into an "
		"allow list\n");
}
END_TEST

struct bad_row {
	const char *in;
	size_t len; /* 0: a string */
	const char *error;
};

static const struct bad_row bad[] = {
	{"10.0.0.1/8", 0, "L:1: 10.0.0.1/8: host bits are set; write 10.0.0.0/8"},
	{"\n10.0.0.0/255.0.0.0", 0, "L:2: 10.0.0.0/255.0.0.0: netmasks are not taken"},
	{"mail.example.jp", 0, "L:1: mail.example.jp: not an address, and names are not resolved"},
	{"10.0.0.0/8#x", 0, "L:1: 10.0.0.0/8#x: a # inside a word starts no comment"},
	{",#x", 0, "L:1: #x: a # inside a word starts no comment"},
	{"!#x", 0, "L:1: #x: a # inside a word starts no comment"},
	{"! ", 0, "L:1: !: one ! and"},
	{"!!10.0.0.0/8", 0, "L:1: !!10.0.0.0/8: one ! and"},
	{"cidr:etc/x", 0, "L:1: cidr:etc/x: write the table's whole path: cidr:/PATH"},
	{"!cidr:", 0, "L:1: cidr:: write the table's whole path"},
	{"CIDR:/etc/x", 0, "L:1: CIDR:/etc/x: lookup tables are not taken"},
	{"hash:/etc/x", 0, "L:1: hash:/etc/x: lookup tables are not taken"},
	{"cdb:/etc/x", 0, "L:1: cdb:/etc/x: lookup tables are not taken"},
	{"proxy:mysql:/etc/x", 0, "lookup tables are not taken"},
	{"file:/etc/x", 0,
		"L:1: file:/etc/x: lookup tables are not taken, but for cidr:/PATH; write "
		"the prefixes"},
	{"2001:db8::1/32", 0, "L:1: 2001:db8::1/32: host bits"},
	{"dead:beef", 0, "L:1: dead:beef: not an IPv4 or IPv6 address"},
	{"\xef\xbb\xbf"
	 "10.0.0.0/8",
		0, "L:1: a byte order mark; save the file without one"},
	{"10.0.0.0/8\0 192.0.2.1\n", 22, "L:1: a NUL byte"},
	{"\0", 1, "L:1: a NUL byte"},
	{"# x\0\n", 5, "L:1: a NUL byte"},
	{"10.0.0.0/8\r# x\r!10.1.0.0/16", 0, "L:1: a carriage return in mid-line"},
	{"10.0.0.0/8\r\r\n", 0, "L:1: a carriage return in mid-line"},
	{"10.0.0.0/8\v192.0.2.1", 0, "L:1: 10.0.0.0/8\\x0b192.0.2.1: the length"},
	{"10.0.0.0/8\xc2\xa0", 0, "the length after the / must be"},
	{"{10.0.0.0/8}", 0, "not an"},
	{"10.0.0.0/8;", 0, "the length after the / must be"},
};

static void
check_bad_entries(const struct bad_row *row)
{
	struct outcome outcome;
	parse(&outcome, ACL_ALLOW, row->in, row->len ? row->len : strlen(row->in));
	ck_assert_msg(outcome.text[0] == 'E', "%s", outcome.text);
	ck_assert_msg(
		strchr(outcome.text, '\n') == outcome.text + outcome.len - 1, "%s", outcome.text);
	ck_assert_msg(strstr(outcome.text, row->error), "%s", outcome.text);
}

START_TEST(bad_entries)
{
	for (size_t i = 0; i < ROWS(bad); i++)
		check_bad_entries(&bad[i]);
}
END_TEST

START_TEST(every_bad_line)
{
	struct outcome outcome;
	static const char in[] = "10.0.0.1/8\n192.0.2.0/24 a b\n\nhash:/x\n";
	parse(&outcome, ACL_ALLOW, in, strlen(in));
	ck_assert_ptr_nonnull(strstr(outcome.text, "2 + 192.0.2.0/24\nE L:1: "));
	ck_assert_ptr_nonnull(strstr(outcome.text, "E L:2: a: "));
	ck_assert_ptr_nonnull(strstr(outcome.text, "E L:2: b: "));
	ck_assert_ptr_nonnull(strstr(outcome.text, "E L:4: hash:/x: "));
}
END_TEST

START_TEST(endless_word)
{
	struct outcome outcome;
	static char in[100000];
	memset(in, '1', sizeof(in));
	parse(&outcome, ACL_ALLOW, in, sizeof(in));
	ck_assert_int_eq(outcome.text[0], 'E');
	ck_assert_uint_lt(outcome.len, 300);
}
END_TEST

static void
fill(TCase *cases)
{
	tcase_add_test(cases, good_lists);
	tcase_add_test(cases, deny_list);
	tcase_add_test(cases, bad_entries);
	tcase_add_test(cases, every_bad_line);
	tcase_add_test(cases, endless_word);
}

UNIT_MAIN("mynetworks", fill)

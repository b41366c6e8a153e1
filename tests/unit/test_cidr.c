/*
 * The parser of cidr tables: a text in, its rules and complaints out.
 */
#include "tests/unit/unit.h"

#include "acl/cidr.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define ROWS(table) (sizeof(table) / sizeof(*(table)))

/* What the parser says, a line an item: "LINE + PREFIX", "LINE - PREFIX" and "LINE ? PREFIX" for
 * allow, deny and no rule; after them the report. */
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
on_rule(void *context, enum acl_action action, const struct prefix *prefix, unsigned line)
{
	char text[PREFIX_TEXT_MAX];
	say(context, "%u %c %s\n", line, action == ACL_ALLOW ? '+' : '-',
		prefix_format(prefix, text));
}

static void
on_dunno(void *context, const struct prefix *prefix, unsigned line)
{
	char text[PREFIX_TEXT_MAX];
	say(context, "%u ? %s\n", line, prefix_format(prefix, text));
}

static void
parse(struct outcome *outcome, enum acl_action action, const char *in, size_t len)
{
	const struct cidr_handler handler = {
		.rule = on_rule, .dunno = on_dunno, .context = outcome};
	struct report report;
	report_init(&report);
	/* Exactly the room that the contract asks for, so that a sanitizer sees any more. */
	char *text = malloc(len + 1);
	memcpy(text, in, len);
	text[len] = 'x';
	outcome->len = 0;
	outcome->text[0] = '\0';
	cidr_parse(text, len, "T", action, &handler, &report);
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
	{"10.0.0.0/8 OK\n", "1 + 10.0.0.0/8\n"},
	{"10.0.0.0/8 OK", "1 + 10.0.0.0/8\n"},
	{"10.0.0.0/8\tok \r\n192.0.2.1 PERMIT\r\n", "1 + 10.0.0.0/8\n2 + 192.0.2.1/32\n"},
	{"10.0.0.0/8 OK\r", "1 + 10.0.0.0/8\n"},
	{"10.0.0.0/8\v\fReject\n", "1 - 10.0.0.0/8\n"},
	{"10.0.0.0/8 REJECT go away, 10.1.0.0/16 OK\n", "1 - 10.0.0.0/8\n"},
	{"10.0.0.0/8 discard\n10.1.0.0/16 OK # nobody\n", "1 - 10.0.0.0/8\n2 + 10.1.0.0/16\n"},
	{"10.0.0.0/8 DUNNO\n10.1.0.0/16 dunno x\n", "1 ? 10.0.0.0/8\n2 ? 10.1.0.0/16\n"},
	{"2001:db8::/32 OK\n[2001:db8:1::]/48 OK\n[2001:db8:2::/48] REJECT\n[::1] OK\n",
		"1 + 2001:db8::/32\n2 + 2001:db8:1::/48\n3 - 2001:db8:2::/48\n4 + ::1/128\n"},
	{"[10.0.0.0]/8 OK\n", "1 + 10.0.0.0/8\n"},
	{"10.0.0.0/08 OK\n", "1 + 10.0.0.0/8\n"},
	{"0.0.0.0/0 OK\n::/0 DUNNO\n", "1 + 0.0.0.0/0\n2 ? ::/0\n"},
	/* comments and empty lines, anywhere between the lines of an entry too */
	{"# x\n\n  # y\n10.0.0.0/8 OK\n \t\n#z", "4 + 10.0.0.0/8\n"},
	{"10.0.0.0/8\n OK\n", "1 + 10.0.0.0/8\n"},
	{"10.0.0.0/8\r\n\tREJECT\r\n\tand more\r\n192.0.2.1 OK\n",
		"1 - 10.0.0.0/8\n4 + 192.0.2.1/32\n"},
	{"10.0.0.0/8\n# x\n\n   \n  # y\n OK\n192.0.2.1 OK", "1 + 10.0.0.0/8\n7 + 192.0.2.1/32\n"},
	{"10.0.0.0/8 OK\n 10.1.0.0/16 REJECT\n", "1 + 10.0.0.0/8\n"},
	{"\n10.0.0.0/8\n\v\n\fOK", "2 + 10.0.0.0/8\n"},
	{"# caf\xe9 \xe2\x82\xac\n10.0.0.0/8 OK", "2 + 10.0.0.0/8\n"},
	{"", "W T: a table without an entry\n"},
	{"\n", "W T: a table without an entry\n"},
	{"# 10.0.0.0/8 OK\n", "W T: a table without an entry\n"},
};

static void
check_good_tables(const struct good_row *row)
{
	struct outcome outcome;
	parse(&outcome, ACL_ALLOW, row->in, strlen(row->in));
	ck_assert_str_eq(outcome.text, row->out);
}

START_TEST(good_tables)
{
	for (size_t i = 0; i < ROWS(good); i++)
		check_good_tables(&good[i]);
}
END_TEST

START_TEST(deny_list)
{
	struct outcome outcome;
	static const char in[] =
		"10.0.0.0/8 REJECT\n10.1.0.0/16 OK\n10.2.0.0/16 DUNNO\n10.3.0.0/16 permit\n";
	parse(&outcome, ACL_DENY, in, strlen(in));
	ck_assert_str_eq(outcome.text,
		"1 - 10.0.0.0/8\n3 ? 10.2.0.0/16\n"
		"E T:2: OK: has no meaning in a deny list; put the table into an allow list\n"
		"E T:4: permit: has no meaning in a deny list; put the table into an allow list\n");
}
END_TEST

struct bad_row {
	const char *in;
	size_t len; /* 0: a string */
	const char *error;
};

static const struct bad_row bad[] = {
	{"10.0.0.1/8 OK", 0, "T:1: 10.0.0.1/8: host bits are set; write 10.0.0.0/8"},
	{"\n10.0.0.0/255.0.0.0 OK", 0, "T:2: 10.0.0.0/255.0.0.0: netmasks are not taken"},
	{"10.0.0.0/33 OK", 0, "T:1: 10.0.0.0/33: the length after the / must be"},
	{"mail.example.jp OK", 0, "T:1: mail.example.jp: not an address"},
	{"10.0.0.0/8,192.0.2.1 OK", 0, "T:1: 10.0.0.0/8,192.0.2.1: "},
	{"/etc/senders OK", 0, "T:1: /etc/senders: not an"},
	{"fe80::1%eth0 OK", 0, "T:1: fe80::1%eth0: an address here takes no zone"},
	{"[2001:db8:: OK", 0, "T:1: [2001:db8::: not an"},
	{"[10.0.0.0/8]x OK", 0, "T:1: [10.0.0.0/8]x: not an"},
	{"::ffff:10.0.0.0/104 OK", 0, "T:1: ::ffff:10.0.0.0/104: to Postfix an IPv4-mapped"},
	{"[::ffff:10.0.0.1] OK", 0, "T:1: [::ffff:10.0.0.1]: to Postfix an IPv4-mapped"},
	{"!10.0.0.0/8 OK", 0, "T:1: !10.0.0.0/8: a ! (all but this) is not taken"},
	{"! 10.0.0.0/8 OK", 0, "T:1: !: a ! (all but this) is not taken"},
	{"if 10.0.0.0/8\n", 0, "T:1: if: if and endif are not taken"},
	{"IF !10.0.0.0/8\n", 0, "T:1: IF: if and endif are not taken"},
	{"EndIf", 0, "T:1: EndIf: if and endif are not taken"},
	{"if!10.0.0.0/8", 0, "T:1: if!10.0.0.0/8: not an address"},
	{"10.0.0.0/8", 0, "T:1: 10.0.0.0/8: no action"},
	{"\n10.0.0.0/8 \n# x\n", 0, "T:2: 10.0.0.0/8: no action"},
	{"10.0.0.0/8 OKAY", 0, "T:1: OKAY: no action that is taken here"},
	{"10.0.0.0/8 O", 0, "T:1: O: no action that is taken here"},
	{"10.0.0.0/8 OK,", 0, "T:1: OK,: no action that is taken here"},
	{"10.0.0.0/8 550 5.7.1 no", 0, "T:1: 550: no action that is taken here"},
	{"10.0.0.0/8\n DEFER\n", 0, "T:1: DEFER: no action that is taken here"},
	{"10.0.0.0/8 OK\n\n\n10.0.0.0/8\n x", 0, "T:4: x: no action that is taken here"},
	{" 10.0.0.0/8 OK", 0, "T:1: a line that begins with a blank continues"},
	{"# x\n\t10.0.0.0/8 OK", 0, "T:2: a line that begins with a blank continues"},
	{"\xef\xbb\xbf"
	 "10.0.0.0/8 OK",
		0, "T:1: a byte order mark; save the file without one"},
	{"10.0.0.0/8 OK\0\n", 15, "T:1: a NUL byte"},
	{"\0", 1, "T:1: a NUL byte"},
	{"10.0.0.0/8 OK\r10.1.0.0/16 OK", 0, "T:1: a carriage return in mid-line"},
	{"10.0.0.0/8 OK\r\r\n", 0, "T:1: a carriage return in mid-line"},
	{"10.0.0.0/8\xc2\xa0OK", 0, "the length after the / must be"},
};

static void
check_bad_tables(const struct bad_row *row)
{
	struct outcome outcome;
	parse(&outcome, ACL_ALLOW, row->in, row->len ? row->len : strlen(row->in));
	const char *error = strstr(outcome.text, "E ");
	ck_assert_msg(error, "%s", row->in);
	ck_assert_msg(strchr(error, '\n') == outcome.text + outcome.len - 1, "%s", outcome.text);
	ck_assert_msg(strstr(error, row->error), "%s", outcome.text);
}

START_TEST(bad_tables)
{
	for (size_t i = 0; i < ROWS(bad); i++)
		check_bad_tables(&bad[i]);
}
END_TEST

START_TEST(every_bad_line)
{
	struct outcome outcome;
	static const char in[] = "10.0.0.1/8 OK\n192.0.2.0/24 OK\nx\n\nif\n";
	parse(&outcome, ACL_ALLOW, in, strlen(in));
	ck_assert_ptr_nonnull(strstr(outcome.text, "2 + 192.0.2.0/24\nE T:1: "));
	ck_assert_ptr_nonnull(strstr(outcome.text, "E T:3: x: "));
	ck_assert_ptr_nonnull(strstr(outcome.text, "E T:5: if: "));
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
	tcase_add_test(cases, good_tables);
	tcase_add_test(cases, deny_list);
	tcase_add_test(cases, bad_tables);
	tcase_add_test(cases, every_bad_line);
	tcase_add_test(cases, endless_word);
}

UNIT_MAIN("cidr", fill)

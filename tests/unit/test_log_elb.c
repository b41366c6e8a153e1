/*
 * The format elb: a client's line to the letter, its columns whatever the order of the calls and
 * whatever is in them, and that nothing else is written so.
 */
#include "lb/log_elb.h"

#include "tests/unit/elb_columns.h"
#include "tests/unit/unit.h"

#include <stdio.h>

enum {
	TS_MAX = sizeof("2026-11-24T02:06:00.123456Z"), /* with the blank behind it */
};

/* The line without its newline, as a string. */
static const char *
text_of(struct log_line *line)
{
	static char text[LOG_LINE_MAX + 1];
	log_finish(line);
	ck_assert_uint_le(line->len, LOG_LINE_MAX);
	ck_assert_int_eq(line->text[line->len - 1], '\n');
	snprintf(text, sizeof(text), "%.*s", (int)line->len - 1, line->text);
	return text;
}

static void
begin(struct log_line *line, const char *event)
{
	log_set_name("lb1.example.jp");
	log_set_format(LOG_ELB);
	log_begin_client(line, LOG_LEVEL_INFO, event, 0);
}

static void
log_served(struct log_line *line, const struct endpoint *client, const char *tls)
{
	struct endpoint relay = {{ADDR_V4, {10, 0, 1, 11}}, 25};
	log_text(line, "id", "9f0c0123456789ab");
	log_text(line, "listener", "smtp");
	log_endpoint(line, "client", client);
	log_text(line, "pool", "relays");
	log_text(line, "backend", "relay1");
	log_endpoint(line, "backend_addr", &relay);
	log_number(line, "attempts", 2);
	log_text(line, "result", "ok");
	log_text(line, "end", "client");
	log_duration(line, "queue_ms", 3000);
	log_duration(line, "connect_ms", 28);
	log_duration(line, "greeting_ms", 41);
	log_duration(line, "duration_ms", 61000007);
	log_number(line, "bytes_in", 82);
	log_number(line, "bytes_out", 305);
	log_number(line, "messages", 3);
	log_number(line, "accepted", 1);
	log_number(line, "deferred", 2);
	log_number(line, "rejected", 0);
	log_text(line, "last_reply", "221 2.0.0");
	log_text(line, "tls", tls);
	log_text(line, "backend_tls", tls);
	log_text(line, "sni", tls ? "mail.example.jp" : NULL);
	log_text(line, "resumed", tls ? "no" : NULL);
	log_text(line, "opaque", NULL);
	log_duration(line, "wait_ms", 1069);
}

#define TIMES "10.0.1.11:25 0.001069 0.000028 0.000041 - - 82 305 \"- - - \" \"-\" "
#define OURS                                                                          \
	" 9f0c0123456789ab smtp relays relay1 ok client 2 0.003000 61.000007 3 1 2 0" \
	" \"221 2.0.0\" "

static const struct {
	struct endpoint client;
	const char *tls;
	const char *line;
} served[] = {
	{{{ADDR_V4, {203, 0, 113, 7}}, 40112}, NULL,
		"lb1.example.jp 203.0.113.7:40112 " TIMES "- -" OURS "- - - - - \"-\""},
	{{{ADDR_V6, {0x20, 0x01, 0x0D, 0xB8, [15] = 1}}, 65535}, NULL,
		"lb1.example.jp [2001:db8::1]:65535 " TIMES "- -" OURS "- - - - - \"-\""},
	{{{ADDR_V4, {203, 0, 113, 7}}, 40112}, "TLSv1.2/ECDHE-RSA-AES128-GCM-SHA256",
		"lb1.example.jp 203.0.113.7:40112 " TIMES "ECDHE-RSA-AES128-GCM-SHA256 TLSv1.2" OURS
		"TLSv1.2/ECDHE-RSA-AES128-GCM-SHA256 mail.example.jp no - - \"-\""},
	{{{ADDR_V4, {203, 0, 113, 7}}, 40112}, "TLSv1.3/TLS_CHACHA20_POLY1305_SHA256",
		"lb1.example.jp 203.0.113.7:40112 " TIMES
		"TLS-CHACHA20-POLY1305-SHA256 TLSv1.3" OURS
		"TLSv1.3/TLS_CHACHA20_POLY1305_SHA256 mail.example.jp no - - \"-\""},
};

START_TEST(session)
{
	struct log_line line;
	begin(&line, "session");
	log_served(&line, &served[_i].client, served[_i].tls);
	ck_assert_str_eq(text_of(&line) + TS_MAX, served[_i].line);
}
END_TEST

START_TEST(denied)
{
	struct endpoint client = {{ADDR_V4, {203, 0, 113, 7}}, 40112};
	struct log_line line;
	begin(&line, "denied");
	log_text(&line, "id", "9f0c0123456789ab");
	log_text(&line, "listener", "smtp");
	log_endpoint(&line, "client", &client);
	log_text(&line, "rule", "/etc/my \"lists\"/a:3 deny 203.0.113.0/24");
	log_text(&line, "action", "421");
	ck_assert_str_eq(text_of(&line) + TS_MAX,
		"lb1.example.jp 203.0.113.7:40112 - -1 -1 -1 - - 0 0 \"- - - \" \"-\" - - "
		"9f0c0123456789ab smtp - - denied balancer 0 -1 -1 - - - - \"-\" - - - - 421 "
		"\"/etc/my \\x22lists\\x22/a:3 deny 203.0.113.0/24\"");
}
END_TEST

/* What has no number is no time and no count, and a key without a column is left out. */
START_TEST(nothing)
{
	const struct endpoint none = {.port = 0};
	struct log_line line;
	begin(&line, "session");
	log_set_name(NULL);
	log_endpoint(&line, "client", &none);
	log_duration(&line, "connect_ms", LOG_NONE);
	log_number(&line, "messages", LOG_NONE);
	log_text(&line, "sni", "");
	log_text(&line, "detail", "x");
	ck_assert_str_eq(text_of(&line) + TS_MAX,
		"lb1.example.jp - - -1 -1 -1 - - 0 0 \"- - - \" \"-\" - - - - - - denied balancer 0"
		" -1 -1 - - - - \"-\" - - - - - \"-\"");
}
END_TEST

static const struct {
	const char *value, *word, *quoted;
} values[] = {
	{"a", "a", "\"a\""},
	{"a b", "a\\x20b", "\"a b\""},
	{"-", "\\x2d", "\"\\x2d\""},
	{"--", "--", "\"--\""},
	{"a\"b\\c", "a\\x22b\\x5cc", "\"a\\x22b\\x5cc\""},
	{"x\r\n2026-11-24", "x\\x0d\\x0a2026-11-24", "\"x\\x0d\\x0a2026-11-24\""},
	{"\x01\x7F\x80\xFF", "\\x01\\x7f\\x80\\xff", "\"\\x01\\x7f\\x80\\xff\""},
};

/* Where the values stand is no matter of the order in which they come. */
START_TEST(escapes)
{
	char expected[256];
	struct log_line line;
	begin(&line, "session");
	log_text(&line, "rule", values[_i].value);
	log_text(&line, "sni", values[_i].value);
	snprintf(expected, sizeof(expected), "\"-\" - %s - - - %s", values[_i].word,
		values[_i].quoted);
	const char *text = text_of(&line);
	ck_assert_str_eq(text + strlen(text) - strlen(expected), expected);
}
END_TEST

/* Values of growing length: each is there, or its beginning, and the columns are all. */
START_TEST(long_values)
{
	static char sent[2 * LOG_LINE_MAX];
	memset(sent, _i ? '"' : 'x', sizeof(sent));
	bool was_short = false;
	for (size_t len = 1; len < sizeof(sent); len++) {
		struct log_line line;
		struct elb_column column;
		begin(&line, "session");
		log_bytes(&line, "rule", sent, len);
		log_text(&line, "id", "behind it");
		const char *at = text_of(&line), *end = at + strlen(at);
		for (int i = 0; i < LOG_ELB_COLUMNS; i++) {
			at = elb_next(at, end, &column);
			ck_assert_msg(at != NULL, "column %d of %s", i, line.text);
		}
		ck_assert_ptr_eq(at, end);
		ck_assert_mem_eq(column.value, sent, column.len);
		was_short |= column.len < len;
		ck_assert(column.len == len || line.len > LOG_LINE_MAX - 512);
		ck_assert_int_eq(column.len < len, was_short);
	}
	ck_assert(was_short);
}
END_TEST

/* The column is when the client came. */
START_TEST(began)
{
	struct log_line line;
	char before[TS_MAX], after[TS_MAX];
	begin(&line, "session");
	snprintf(before, sizeof(before), "%s", text_of(&line));
	log_begin_client(&line, LOG_LEVEL_INFO, "session", 3600 * UINT64_C(1000000));
	snprintf(after, sizeof(after), "%s", text_of(&line));
	ck_assert_uint_eq(strspn(before, "0123456789-T:.Z"), TS_MAX - 1);
	ck_assert_int_eq(before[TS_MAX - 2], 'Z');
	ck_assert_str_lt(after, before);
}
END_TEST

/* Only clients' lines are ELB's, and only in this format. */
START_TEST(others)
{
	struct log_line line;
	begin(&line, "session");
	log_begin(&line, LOG_LEVEL_WARNING, "health");
	log_text(&line, "from", "up");
	log_number(&line, "n", LOG_NONE);
	log_duration(&line, "a", 61999);
	log_duration(&line, "b", LOG_NONE);
	const char *text = text_of(&line);
	ck_assert_str_eq(strchr(text, ' '), " level=warning event=health from=up n=- a=61 b=-");
	ck_assert_int_eq(strncmp(text, "ts=", 3), 0);
	log_set_format(LOG_JSON);
	log_begin_client(&line, LOG_LEVEL_INFO, "session", 0);
	log_duration(&line, "connect_ms", 1999);
	ck_assert_ptr_nonnull(strstr(text_of(&line), "\"event\":\"session\",\"connect_ms\":1}"));
	log_set_format(LOG_ELB);
	log_begin_client(&line, LOG_LEVEL_DEBUG, "session", 0);
	ck_assert(!line.wanted);
}
END_TEST

static void
fill(TCase *cases)
{
	tcase_add_loop_test(cases, session, 0, sizeof(served) / sizeof(served[0]));
	tcase_add_test(cases, denied);
	tcase_add_test(cases, nothing);
	tcase_add_loop_test(cases, escapes, 0, sizeof(values) / sizeof(values[0]));
	tcase_add_loop_test(cases, long_values, 0, 2);
	tcase_add_test(cases, began);
	tcase_add_test(cases, others);
}

UNIT_MAIN("log_elb", fill)

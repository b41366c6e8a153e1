/*
 * The replies in our own name: their text to the letter, and hostnames of every length.
 */
#include "lb/wire/reply.h"

#include "tests/unit/unit.h"

#include <string.h>

static const struct {
	enum reply reply;
	const char *text;
} rows[] = {
	{REPLY_DENIED_421, "421 4.7.1 lb1.example.jp access denied (a1-2)\r\n"},
	{REPLY_DENIED_554, "554 5.7.1 lb1.example.jp access denied (a1-2)\r\n"},
	{REPLY_CONNECTIONS,
		"421 4.7.0 lb1.example.jp too many connections from 203.0.113.7 (a1-2)\r\n"},
	{REPLY_MESSAGES, "421 4.7.0 lb1.example.jp too many messages from 203.0.113.7 (a1-2)\r\n"},
	{REPLY_FULL, "421 4.3.2 lb1.example.jp too many connections (a1-2)\r\n"},
	{REPLY_NO_BACKEND, "421 4.3.2 lb1.example.jp no relay available (a1-2)\r\n"},
	{REPLY_CLOSING, "421 4.3.2 lb1.example.jp closing for maintenance (a1-2)\r\n"},
	{REPLY_IDLE, "421 4.4.2 lb1.example.jp idle timeout (a1-2)\r\n"},
	{REPLY_TLS_READY, "220 2.0.0 lb1.example.jp ready to start TLS (a1-2)\r\n"},
	{REPLY_TLS_ON, "503 5.5.1 lb1.example.jp TLS is on already (a1-2)\r\n"},
	{REPLY_TLS_LATE, "503 5.5.1 lb1.example.jp STARTTLS comes before AUTH and MAIL (a1-2)\r\n"},
	{REPLY_TLS_ARGUMENTS, "501 5.5.4 lb1.example.jp STARTTLS has no arguments (a1-2)\r\n"},
	{REPLY_TLS_FAILS, "454 4.7.0 lb1.example.jp TLS is not available for now (a1-2)\r\n"},
	{REPLY_TLS_FIRST,
		"530 5.7.0 lb1.example.jp must issue a STARTTLS command first (a1-2)\r\n"},
	{REPLY_EHLO_FIRST, "503 5.5.1 lb1.example.jp must issue EHLO first (a1-2)\r\n"},
};

START_TEST(text)
{
	char buf[REPLY_MAX + 1];
	struct addr client;
	ck_assert_int_eq(addr_parse(&client, "203.0.113.7"), 0);
	size_t len = reply_format(buf, rows[_i].reply, "lb1.example.jp", &client, "a1-2");
	ck_assert_str_eq(buf, rows[_i].text);
	ck_assert_uint_eq(len, strlen(rows[_i].text));
}
END_TEST

/* Whatever the lengths: one line, never too long, and only as much cut as must be. */
START_TEST(lengths)
{
	static char hostname[1024], id[1024];
	const char *longest = "2001:db8:1111:2222:3333:4444:5555:6666";
	struct addr client;
	ck_assert_int_eq(addr_parse(&client, longest), 0);
	for (size_t host_len = 0; host_len < sizeof(hostname); host_len++) {
		for (size_t id_len = 0; id_len <= 100; id_len += 20) {
			memset(hostname, 'h', host_len);
			hostname[host_len] = '\0';
			memset(id, 'i', id_len);
			id[id_len] = '\0';
			char buf[REPLY_MAX + 1];
			size_t len = reply_format(buf, rows[_i].reply, hostname, &client, id);
			ck_assert_uint_eq(len, strlen(buf));
			ck_assert_uint_le(len, REPLY_MAX);
			ck_assert(!strstr(rows[_i].text, "203.") || strstr(buf, longest));
			ck_assert_str_eq(buf + len - 3, ")\r\n");
			ck_assert_ptr_eq(strchr(buf, '\n'), buf + len - 1);
			size_t kept = strspn(buf + strlen("421 4.7.1 "), "h");
			ck_assert(kept == host_len || len == REPLY_MAX);
			if (id_len <= 60)
				ck_assert_ptr_nonnull(strstr(buf, id));
		}
	}
}
END_TEST

static void
fill(TCase *cases)
{
	tcase_add_loop_test(cases, text, 0, sizeof(rows) / sizeof(rows[0]));
	tcase_add_loop_test(cases, lengths, 0, sizeof(rows) / sizeof(rows[0]));
}

UNIT_MAIN("reply", fill)

/*
 * The http probe's wire format: the request, and the reply in every split of every row, each piece
 * in an allocation of its exact size so that a sanitizer sees any read past its end.
 */
#include "tests/unit/unit.h"

#include "health/http.h"

#include <string.h>

enum outcome {
	MORE,
	WHOLE,
	BAD,
};

struct row {
	const char *bytes;
	size_t len; /* 0: strlen(bytes) */
	enum outcome outcome;
	unsigned status; /* WHOLE */
	size_t rest;     /* WHOLE: bytes behind the end */
	const char *why; /* BAD */
};

static const struct row rows[] = {
	{"HTTP/1.1 200 OK\r\n\r\n", 0, WHOLE, 200, 0, NULL},
	{"HTTP/1.1 200 OK\r\nServer: x\r\nContent-Length: 5\r\n\r\nhello", 0, WHOLE, 200, 5, NULL},
	{"HTTP/1.0 503 Service Unavailable\r\n\r\n", 0, WHOLE, 503, 0, NULL},
	{"HTTP/1.9 404 \r\n\r\n", 0, WHOLE, 404, 0, NULL},
	{"HTTP/1.1 200\r\nA: b\r\n\r\n", 0, WHOLE, 200, 0, NULL},
	{"HTTP/1.1 200\n\n", 0, WHOLE, 200, 0, NULL},
	{"HTTP/1.1 200 OK\nA: b\nC:\n\r\nx", 0, WHOLE, 200, 1, NULL},
	{"HTTP/1.1 302 Found\r\nA: b\r\n\tfolded\r\n folded\r\n\r\n", 0, WHOLE, 302, 0, NULL},
	{"HTTP/1.1 200 \xc3\xa4\tx\r\n\r\n", 0, WHOLE, 200, 0, NULL},
	{"HTTP/1.1 999 x\r\n\r\n", 0, WHOLE, 999, 0, NULL},
	/* interim replies */
	{"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", 0, WHOLE, 200, 0, NULL},
	{"HTTP/1.1 103 Hints\nA: b\n\nHTTP/1.1 102 x\n\nHTTP/1.1 503 x\r\n\r\n", 0, WHOLE, 503, 0,
		NULL},
	{"HTTP/1.1 101 Switching Protocols\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", 0, WHOLE, 101, 19,
		NULL},
	{"HTTP/1.1 199 x\r\n\r\n", 0, MORE, 0, 0, NULL},
	{"HTTP/1.1 100 x\r\n\r\nbody", 0, BAD, 0, 0, "not HTTP"},
	/* cut short */
	{"H", 0, MORE, 0, 0, NULL},
	{"HTTP/1.1 200 OK", 0, MORE, 0, 0, NULL},
	{"HTTP/1.1 200 OK\r\n", 0, MORE, 0, 0, NULL},
	{"HTTP/1.1 200 OK\r\nA: b\r\n\r", 0, MORE, 0, 0, NULL},
	/* the status is three digits, no more and no less */
	{"HTTP/1.1 65736 OK\r\n\r\n", 0, BAD, 0, 0, "not an HTTP status"},
	{"HTTP/1.1 4294967496 OK\r\n\r\n", 0, BAD, 0, 0, "not an HTTP status"},
	{"HTTP/1.1 2000\r\n\r\n", 0, BAD, 0, 0, "not an HTTP status"},
	{"HTTP/1.1 200OK\r\n\r\n", 0, BAD, 0, 0, "not an HTTP status"},
	{"HTTP/1.1 20 OK\r\n\r\n", 0, BAD, 0, 0, "not an HTTP status"},
	{"HTTP/1.1 020 OK\r\n\r\n", 0, BAD, 0, 0, "not an HTTP status"},
	{"HTTP/1.1 -20 OK\r\n\r\n", 0, BAD, 0, 0, "not an HTTP status"},
	{"HTTP/1.1 2x0 OK\r\n\r\n", 0, BAD, 0, 0, "not an HTTP status"},
	{"HTTP/1.1  200 OK\r\n\r\n", 0, BAD, 0, 0, "not an HTTP status"},
	{"HTTP/1.1\r\n\r\n", 0, BAD, 0, 0, "not HTTP"},
	{"HTTP/1.x 200 OK\r\n\r\n", 0, BAD, 0, 0, "not an HTTP status"},
	/* not HTTP */
	{"220 relay.example.jp ESMTP Postfix\r\n", 0, BAD, 0, 0, "not HTTP"},
	{"http/1.1 200 OK\r\n\r\n", 0, BAD, 0, 0, "not HTTP"},
	{"HTTP/2 200 OK\r\n\r\n", 0, BAD, 0, 0, "not HTTP"},
	{"HTTP/11.1 200 OK\r\n\r\n", 0, BAD, 0, 0, "not HTTP"},
	{"\r\nHTTP/1.1 200 OK\r\n\r\n", 0, BAD, 0, 0, "not HTTP"},
	{" HTTP/1.1 200 OK\r\n\r\n", 0, BAD, 0, 0, "not HTTP"},
	{"HTTQ", 0, BAD, 0, 0, "not HTTP"},
	{"\x15\x03\x01\x00\x02\x02", 6, BAD, 0, 0, "not HTTP"},
	{"\0", 1, BAD, 0, 0, "not HTTP"},
	/* a bad header */
	{"HTTP/1.1 200 O\0K\r\n\r\n", 19, BAD, 0, 0, "control byte in the header"},
	{"HTTP/1.1 200 O\x7fK\r\n\r\n", 0, BAD, 0, 0, "control byte in the header"},
	{"HTTP/1.1 200 OK\r\nA: \0\r\n\r\n", 24, BAD, 0, 0, "control byte in the header"},
	{"HTTP/1.1 200 OK\rA: b\r\n\r\n", 0, BAD, 0, 0, "CR without LF"},
	{"HTTP/1.1 200 OK\r\n\rA: b\r\n\r\n", 0, BAD, 0, 0, "CR without LF"},
	{"HTTP/1.1 200 OK\r\r\n\r\n", 0, BAD, 0, 0, "CR without LF"},
	{"HTTP/1.1 200 OK\r\ngarbage\r\n\r\n", 0, BAD, 0, 0, "not a header line"},
	{"HTTP/1.1 200 OK\r\nA : b\r\n\r\n", 0, BAD, 0, 0, "not a header line"},
	{"HTTP/1.1 200 OK\r\nA\x01: b\r\n\r\n", 0, BAD, 0, 0, "not a header line"},
	{"HTTP/1.1 200 OK\r\nA\t: b\r\n\r\n", 0, BAD, 0, 0, "not a header line"},
	{"HTTP/1.1 200 OK\r\n: b\r\n\r\n", 0, BAD, 0, 0, "not a header line"},
	{"HTTP/1.1 200 OK\r\n\0: b\r\n\r\n", 24, BAD, 0, 0, "not a header line"},
};

/* Feeds bytes[from, to) as one piece. */
static ssize_t
feed(struct http_reply *reply, const char *bytes, size_t from, size_t to)
{
	size_t len = to - from;
	uint8_t *piece = malloc(len);
	ssize_t taken;
	memcpy(piece, bytes + from, len);
	taken = http_reply_feed(reply, piece, len);
	free(piece);
	return taken;
}

/* Plays the row in pieces that end at a, at b, and at its end, or byte by byte with a = 0. */
static void
play(const struct row *row, size_t index, size_t a, size_t b)
{
	size_t len = row->len > 0 ? row->len : strlen(row->bytes);
	size_t at = 0;
	ssize_t taken = 0;
	struct http_reply reply;
	http_reply_init(&reply);
	while (taken == 0 && at < len) {
		size_t end = a == 0 ? at + 1 : at < a ? a : at < b ? b : len;
		taken = feed(&reply, row->bytes, at, end);
		ck_assert_msg(taken <= (ssize_t)(end - at), "row %zu split %zu %zu", index, a, b);
		at = taken > 0 ? at + (size_t)taken : end;
	}
	switch (row->outcome) {
	case MORE:
		ck_assert_msg(taken == 0, "row %zu split %zu %zu: %zd", index, a, b, taken);
		break;
	case WHOLE:
		ck_assert_msg(taken > 0 && at == len - row->rest && reply.status == row->status,
			"row %zu split %zu %zu: %zd at %zu, %u", index, a, b, taken, at,
			reply.status);
		break;
	case BAD:
		ck_assert_msg(taken == -1, "row %zu split %zu %zu: %zd", index, a, b, taken);
		ck_assert_str_eq(reply.why, row->why);
		break;
	}
}

START_TEST(every_split_of_every_row)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		size_t len = rows[i].len > 0 ? rows[i].len : strlen(rows[i].bytes);
		for (size_t a = 0; a <= len; a++) {
			for (size_t b = a; b <= len; b++)
				play(&rows[i], i, a, b);
		}
	}
}
END_TEST

/* Whatever a long header is made of, it ends at the bound: not a byte earlier or later. */
START_TEST(bounded)
{
	static const char *const patterns[] = {
		"a: b\r\n",
		"a",
		" ",
		"HTTP/1.1 100 x\r\n\r\n",
	};

	for (size_t i = 0; i < sizeof(patterns) / sizeof(patterns[0]); i++) {
		static const char start[] = "HTTP/1.1 100 \r\na: b\r\n\r\n";
		size_t len = strlen(patterns[i]);
		struct http_reply reply;
		ssize_t taken = 0;
		size_t count = sizeof(start) - 1;
		http_reply_init(&reply);
		ck_assert_int_eq(feed(&reply, start, 0, count), 0);
		if (patterns[i][0] != 'H') {
			ck_assert_int_eq(feed(&reply, "HTTP/1.1 200 ", 0, 13), 0);
			count += 13;
		}
		if (patterns[i][0] == 'a' && len > 1) {
			ck_assert_int_eq(feed(&reply, "\r\n", 0, 2), 0);
			count += 2;
		}
		for (size_t at = 0; taken == 0; at++, count++) {
			taken = feed(&reply, patterns[i], at % len, at % len + 1);
			ck_assert(count <= HTTP_HEADER_MAX);
		}
		ck_assert_int_eq(taken, -1);
		ck_assert_str_eq(reply.why, "header too long");
		ck_assert_uint_eq(count - 1, HTTP_HEADER_MAX);
	}
}
END_TEST

START_TEST(nothing_behind_the_end)
{
	static const char bytes[] = "HTTP/1.1 200\n\nx";
	struct http_reply reply;
	http_reply_init(&reply);
	ck_assert_int_eq(feed(&reply, bytes, 0, sizeof(bytes) - 2), 14);
	ck_assert_int_eq(feed(&reply, bytes, 14, 15), -1);
	ck_assert_str_eq(reply.why, "bytes behind the end");
}
END_TEST

START_TEST(longest_header)
{
	static char bytes[HTTP_HEADER_MAX];
	struct http_reply reply;
	memset(bytes, 'a', sizeof(bytes));
	memcpy(bytes, "HTTP/1.1 200 ", 13);
	memcpy(bytes + sizeof(bytes) - 4, "\r\n\r\n", 4);
	http_reply_init(&reply);
	ck_assert_int_eq(feed(&reply, bytes, 0, sizeof(bytes)), HTTP_HEADER_MAX);
	ck_assert_uint_eq(reply.status, 200);
	http_reply_init(&reply);
	ck_assert_int_eq(feed(&reply, bytes, 0, sizeof(bytes) - 1), 0);
	ck_assert_int_eq(feed(&reply, bytes, sizeof(bytes) - 1, sizeof(bytes)), 1);
}
END_TEST

/* The line kept for the log says what answered, and is harmless. */
START_TEST(kept_line)
{
	static const struct {
		const char *bytes;
		const char *line;
	} lines[] = {
		{"220 relay ESMTP Postfix\r\nmore", "220 relay ESMTP Postfix"},
		{"HTTP/1.1 2x0 OK\nmore", "HTTP/1.1 2x0 OK"},
		{"\x1b[31mred\x7f\xff\x01\n", "?[31mred???"},
		{"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nbad\r\n", "HTTP/1.1 200 OK"},
		{"0123456789012345678901234567890123456789012345678901234567890123456789",
			"012345678901234567890123456789012345678901234567890123456789"},
		{"\n", ""},
	};

	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		struct http_reply reply;
		http_reply_init(&reply);
		ck_assert_int_eq(feed(&reply, lines[i].bytes, 0, strlen(lines[i].bytes)), -1);
		ck_assert_str_eq(reply.line, lines[i].line);
	}
}
END_TEST

START_TEST(request)
{
	static const struct {
		const char *address;
		uint16_t port;
		char *path, *host;
		const char *begins;
	} requests[] = {
		{"192.0.2.1", 80, "/", "", "GET / HTTP/1.1\r\nHost: 192.0.2.1\r\n"},
		{"192.0.2.1", 8080, "/h?x=1", "",
			"GET /h?x=1 HTTP/1.1\r\nHost: 192.0.2.1:8080\r\n"},
		{"2001:db8::1", 80, "/", "", "GET / HTTP/1.1\r\nHost: [2001:db8::1]\r\n"},
		{"2001:db8::1", 81, "/", "", "GET / HTTP/1.1\r\nHost: [2001:db8::1]:81\r\n"},
		{"2001:db8::1", 81, "/", "mx.example", "GET / HTTP/1.1\r\nHost: mx.example\r\n"},
	};
	static const char rest[] = "User-Agent: smtplb/" SMTPLB_VERSION "\r\n"
				   "Accept: */*\r\nConnection: close\r\n\r\n";

	for (size_t i = 0; i < sizeof(requests) / sizeof(requests[0]); i++) {
		struct check_conf check = {.type = CHECK_HTTP,
			.port = requests[i].port,
			.path = requests[i].path,
			.host = requests[i].host};
		struct addr address;
		char *text;
		ck_assert_int_eq(addr_parse(&address, requests[i].address), 0);
		text = http_request(&check, &address);
		ck_assert_ptr_nonnull(text);
		ck_assert(strncmp(text, requests[i].begins, strlen(requests[i].begins)) == 0);
		ck_assert_str_eq(text + strlen(requests[i].begins), rest);
		free(text);
	}
}
END_TEST

static void
fill(TCase *cases)
{
	tcase_add_test(cases, every_split_of_every_row);
	tcase_add_test(cases, bounded);
	tcase_add_test(cases, longest_header);
	tcase_add_test(cases, nothing_behind_the_end);
	tcase_add_test(cases, kept_line);
	tcase_add_test(cases, request);
}

UNIT_MAIN("http", fill)

/*
 * The greeting reader: rows of what relays and others say, each fed in every split in two and a
 * byte at a time, and random inputs against an oracle.
 */
#include "lb/wire/greeting.h"

#include "tests/unit/greeting_oracle.h"
#include "tests/unit/unit.h"

#include <stdio.h>

#define INPUT(text) text, sizeof(text) - 1

static const struct {
	const char *input;
	size_t len;
	ssize_t result; /* 0, -1, or the greeting's length */
	unsigned code;
	const char *line;
} rows[] = {
	/* Complete. */
	{INPUT("220 relay1.example.jp ESMTP Postfix\r\n"), 37, 220,
		"220 relay1.example.jp ESMTP Postfix"},
	{INPUT("220 \r\n"), 6, 220, "220 "},
	{INPUT("220\r\n"), 5, 220, "220"},
	{INPUT("220\n"), 4, 220, "220"},
	{INPUT("220 LF only\n"), 12, 220, "220 LF only"},
	{INPUT("999 nine\r\n"), 10, 999, "999 nine"},
	{INPUT("000 zero\r\n"), 10, 0, "000 zero"},
	{INPUT("220-teaser\r\n220 relay1\r\n"), 24, 220, "220-teaser"},
	{INPUT("220-teaser\r\n220\r\n"), 17, 220, "220-teaser"},
	{INPUT("220-\n220-\n220\n"), 14, 220, "220-"},
	{INPUT("220-a\r\n220-220 b\r\n220 c\r\n"), 25, 220, "220-a"},
	{INPUT("220 a\rb\r\r\n"), 10, 220, "220 a\rb\r"},
	{INPUT("220 \xFF\xC3\xA9\x01\r\n"), 10, 220, "220 \xFF\xC3\xA9\x01"},
	{INPUT("220 nul\0here\r\n"), 14, 220, "220 nul?here"},
	{INPUT("220-a\r\n220 nul\0later\0\r\n"), 23, 220, "220-a"},
	/* Another code is complete too. */
	{INPUT("421 4.3.0 try later\r\n"), 21, 421, "421 4.3.0 try later"},
	{INPUT("421-busy\r\n421-very\r\n421 bye\r\n"), 29, 421, "421-busy"},
	{INPUT("554 no SMTP service here\r\n"), 26, 554, "554 no SMTP service here"},
	{INPUT("554-a\r\n554 b\r\n"), 14, 554, "554-a"},
	{INPUT("000 x\r\n"), 7, 0, "000 x"},
	/* What stands behind the end belongs to the pump. */
	{INPUT("220 a\r\n250 more\r\n"), 7, 220, "220 a"},
	{INPUT("220-a\r\n220 b\r\n\0\xFF"), 14, 220, "220-a"},
	{INPUT("220\n\n"), 4, 220, "220"},
	/* More is needed. */
	{INPUT("2"), 0, 0, "2"},
	{INPUT("22"), 0, 0, "22"},
	{INPUT("220"), 0, 220, "220"},
	{INPUT("220 relay"), 0, 220, "220 relay"},
	{INPUT("220-teaser\r\n"), 0, 220, "220-teaser"},
	{INPUT("220-teaser\r\n2"), 0, 220, "220-teaser"},
	{INPUT("220-teaser\r\n220"), 0, 220, "220-teaser"},
	{INPUT("220-teaser\r\n220 rest"), 0, 220, "220-teaser"},
	/* No greeting. */
	{INPUT("\r\n"), -1, 0, ""},
	{INPUT("\n220 a\r\n"), -1, 0, ""},
	{INPUT(" 220 a\r\n"), -1, 0, ""},
	{INPUT("\0"), -1, 0, ""},
	{INPUT("22\r\n"), -1, 0, "22"},
	{INPUT("22\0 a\r\n"), -1, 0, "22"},
	{INPUT("2200 a\r\n"), -1, 220, "220"},
	{INPUT("220\0\r\n"), -1, 220, "220"},
	{INPUT("220\ta\r\n"), -1, 220, "220"},
	{INPUT("220_a\r\n"), -1, 220, "220"},
	{INPUT("220\r\r\n"), -1, 220, "220\r"},
	{INPUT("220\ra\r\n"), -1, 220, "220\r"},
	{INPUT("220-a\r\n221 b\r\n"), -1, 220, "220-a"},
	{INPUT("220-a\r\n421 b\r\n"), -1, 220, "220-a"},
	{INPUT("220-a\r\n\r\n"), -1, 220, "220-a"},
	{INPUT("220-a\r\n220\ra"), -1, 220, "220-a"},
	{INPUT("220-a\r\nHELO"), -1, 220, "220-a"},
	{INPUT("SSH-2.0-OpenSSH_9.2p1\r\n"), -1, 0, ""},
	{INPUT("HTTP/1.1 400 Bad Request\r\n\r\n"), -1, 0, ""},
	{INPUT("\x15\x03\x01\x00\x02\x02\x50"), -1, 0, ""},
	{INPUT("+OK POP3 ready\r\n"), -1, 0, ""},
	{INPUT("* OK IMAP4rev1\r\n"), -1, 0, ""},
};

/* Feeds the pieces up to each cut and then the rest, as a session would: no more once there is a
 * result. Each piece is a copy of its exact size, so that a sanitizer sees any read past it. */
static ssize_t
feed(struct greeting *greeting, const uint8_t *input, size_t len, const size_t *cuts, size_t count)
{
	greeting_init(greeting);
	size_t start = 0;
	for (size_t i = 0; i <= count; i++) {
		size_t end = i < count ? cuts[i] : len;
		if (end == start)
			continue;
		uint8_t *piece = malloc(end - start);
		memcpy(piece, input + start, end - start);
		ssize_t taken = greeting_feed(greeting, piece, end - start);
		free(piece);
		if (taken != 0)
			return taken < 0 ? -1 : (ssize_t)start + taken;
		start = end;
	}
	return 0;
}

static ssize_t
feed_bytes(struct greeting *greeting, const uint8_t *input, size_t len)
{
	size_t *cuts = malloc((len + 1) * sizeof(*cuts));
	for (size_t i = 0; i < len; i++)
		cuts[i] = i + 1;
	ssize_t result = feed(greeting, input, len, cuts, len);
	free(cuts);
	return result;
}

static void
assert_row(size_t row, const struct greeting *greeting, ssize_t result)
{
	ck_assert_int_eq(result, rows[row].result);
	ck_assert_uint_eq(greeting->code, rows[row].code);
	ck_assert_str_eq(greeting->line, rows[row].line);
	if (result >= 0)
		ck_assert_uint_eq(greeting->total, result ? (size_t)result : rows[row].len);
}

START_TEST(splits)
{
	const uint8_t *input = (const uint8_t *)rows[_i].input;
	size_t len = rows[_i].len;
	struct greeting greeting;
	for (size_t cut = 0; cut <= len; cut++)
		assert_row((size_t)_i, &greeting, feed(&greeting, input, len, &cut, 1));
	assert_row((size_t)_i, &greeting, feed_bytes(&greeting, input, len));
	ck_assert_int_eq(oracle_read(input, len), rows[_i].result);
}
END_TEST

/* "220 xxx...\r\n" of exactly len bytes, or of several lines of about 100 bytes. */
static void
long_greeting(uint8_t *input, size_t len, bool lines)
{
	memset(input, 'x', len);
	memcpy(input, "220 ", 4);
	memcpy(input + len - 2, "\r\n", 2);
	for (size_t at = 0; lines && at + 200 < len; at += 100) {
		memcpy(input + at, "220-", 4);
		memcpy(input + at + 98, "\r\n220 ", 6);
	}
}

START_TEST(too_long)
{
	static uint8_t input[5000];
	struct greeting greeting;
	for (int lines = 0; lines < 2; lines++) {
		long_greeting(input, GREETING_MAX, lines);
		ck_assert_int_eq(feed(&greeting, input, GREETING_MAX, NULL, 0), GREETING_MAX);
		ck_assert_int_eq(feed_bytes(&greeting, input, GREETING_MAX), GREETING_MAX);
		/* The whole of it, with more behind. */
		ck_assert_int_eq(feed(&greeting, input, sizeof(input), NULL, 0), GREETING_MAX);
		ck_assert_int_eq(feed(&greeting, input, GREETING_MAX - 1, NULL, 0), 0);

		long_greeting(input, GREETING_MAX + 1, lines);
		ck_assert_int_eq(feed(&greeting, input, GREETING_MAX + 1, NULL, 0), -1);
		ck_assert_int_eq(feed_bytes(&greeting, input, GREETING_MAX + 1), -1);

		long_greeting(input, sizeof(input), lines);
		ck_assert_int_eq(feed(&greeting, input, sizeof(input), NULL, 0), -1);
		ck_assert_int_eq(feed_bytes(&greeting, input, sizeof(input)), -1);
	}
}
END_TEST

/* First lines around GREETING_LINE_MAX: what is kept is the line without its end, or its start. */
START_TEST(line_cut)
{
	for (size_t text = GREETING_LINE_MAX - 8; text < GREETING_LINE_MAX + 8; text++) {
		for (size_t end = 1; end <= 2; end++) {
			uint8_t input[2 * GREETING_LINE_MAX];
			memset(input, 'x', sizeof(input));
			memcpy(input, "220 ", 4);
			memcpy(input + text, end == 2 ? "\r\n" : "\n", end);
			struct greeting greeting;
			ssize_t result = feed_bytes(&greeting, input, text + end);
			ck_assert_int_eq(result, (ssize_t)(text + end));
			size_t kept = text < GREETING_LINE_MAX ? text : GREETING_LINE_MAX;
			ck_assert_uint_eq(strlen(greeting.line), kept);
			ck_assert_mem_eq(greeting.line, input, kept);
		}
	}
}
END_TEST

/* Strings over the few bytes that matter, in random splits. */
START_TEST(random_inputs)
{
	enum { SEED = 220, ROUNDS = 200000, LEN_MAX = 24 };
	static const char *const words[] = {"220", "-", " ", "\r\n", "\n", "\r", "2", "421", "a"};
	srandom(SEED);
	for (int round = 0; round < ROUNDS; round++) {
		char input[LEN_MAX + 8] = "";
		size_t want = (size_t)random() % LEN_MAX, len = 0;
		while (len < want) {
			/* The likely next word half of the time, so that deep states are met. */
			const char *word = words[(size_t)random() % (random() % 2 ? 4 : 9)];
			memcpy(input + len, word, strlen(word));
			len += strlen(word);
		}
		size_t cuts[2] = {len ? (size_t)random() % len : 0, len};
		struct greeting greeting;
		ssize_t result = feed(&greeting, (uint8_t *)input, len, cuts, 2);
		ssize_t expected = oracle_read((uint8_t *)input, len);
		ck_assert_msg(result == expected, "seed %d round %d: %zd, not %zd", SEED, round,
			result, expected);
	}
}
END_TEST

static void
fill(TCase *cases)
{
	tcase_add_loop_test(cases, splits, 0, sizeof(rows) / sizeof(rows[0]));
	tcase_add_test(cases, too_long);
	tcase_add_test(cases, line_cut);
	tcase_add_test(cases, random_inputs);
}

UNIT_MAIN("greeting", fill)

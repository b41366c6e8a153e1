/*
 * The reply reader: rows of what relays say, each in every split in two and a byte at a time, and
 * replies around the longest.
 */
#include "lb/wire/reply_reader.h"

#include "tests/unit/unit.h"

#include <string.h>

#define INPUT(text) text, sizeof(text) - 1

static const struct {
	const char *input;
	size_t len;
	ssize_t result; /* 0, -1, or the reply's length */
	unsigned code;  /* of a whole one, and so on */
	unsigned class, subject, detail;
} rows[] = {
	{INPUT("250 2.1.0 Ok\r\n"), 14, 250, 2, 1, 0},
	{INPUT("250 2.1.0\r\n"), 11, 250, 2, 1, 0},
	{INPUT("250 2.1.0\n"), 10, 250, 2, 1, 0},
	{INPUT("451 4.123.999 x\n"), 16, 451, 4, 123, 999},
	{INPUT("550 5.7.1 \r\n"), 12, 550, 5, 7, 1},
	{INPUT("250 ok\r\n"), 8, 250, 0, 0, 0},
	{INPUT("250 \r\n"), 6, 250, 0, 0, 0},
	{INPUT("250\r\n"), 5, 250, 0, 0, 0},
	{INPUT("250\n"), 4, 250, 0, 0, 0},
	{INPUT("200\n"), 4, 200, 0, 0, 0},
	{INPUT("599\n"), 4, 599, 0, 0, 0},
	{INPUT("334 \r\n"), 6, 334, 0, 0, 0},
	{INPUT("250-a\r\n250-b\r\n250 c\r\n"), 21, 250, 0, 0, 0},
	{INPUT("250-\n250\n"), 9, 250, 0, 0, 0},
	{INPUT("550-5.1.1 a\r\n550 5.1.2 b\r\n"), 26, 550, 5, 1, 2},
	{INPUT("550-5.1.1 a\r\n550 b\r\n"), 20, 550, 0, 0, 0},
	{INPUT("550-5.1.1\r\n550\r\n"), 16, 550, 0, 0, 0},
	{INPUT("250 a\r\n250 b\r\n"), 7, 250, 0, 0, 0},
	{INPUT("250 a\rb\0\xFF\r\r\n"), 12, 250, 0, 0, 0},
	/* No enhanced codes. */
	{INPUT("250 5.1.0 x\r\n"), 13, 250, 0, 0, 0},
	{INPUT("354 3.0.0 x\r\n"), 13, 354, 0, 0, 0},
	{INPUT("250  2.1.0 x\r\n"), 14, 250, 0, 0, 0},
	{INPUT("250 2\r\n"), 7, 250, 0, 0, 0},
	{INPUT("250 2.\r\n"), 8, 250, 0, 0, 0},
	{INPUT("250 2.1\r\n"), 9, 250, 0, 0, 0},
	{INPUT("250 2.1.\r\n"), 10, 250, 0, 0, 0},
	{INPUT("250 2.1. x\r\n"), 12, 250, 0, 0, 0},
	{INPUT("250 2..1 x\r\n"), 12, 250, 0, 0, 0},
	{INPUT("250 2x1.0 x\r\n"), 13, 250, 0, 0, 0},
	{INPUT("250 2.1x0 x\r\n"), 13, 250, 0, 0, 0},
	{INPUT("250 2.1.0x x\r\n"), 14, 250, 0, 0, 0},
	{INPUT("250 2.1.0.1 x\r\n"), 15, 250, 0, 0, 0},
	{INPUT("250 2.1.0\tx\r\n"), 13, 250, 0, 0, 0},
	{INPUT("250 2.1.0\0\r\n"), 12, 250, 0, 0, 0},
	{INPUT("250 2.1234.0 x\r\n"), 16, 250, 0, 0, 0},
	{INPUT("250 2.1.1234 x\r\n"), 16, 250, 0, 0, 0},
	{INPUT("250 22.1.1 x\r\n"), 14, 250, 0, 0, 0},
	{INPUT("250 2.1/0 x\r\n"), 13, 250, 0, 0, 0},
	{INPUT("250 2.1:.0 x\r\n"), 14, 250, 0, 0, 0},
	/* More is needed. */
	{INPUT("2"), 0, 0, 0, 0, 0},
	{INPUT("250"), 0, 0, 0, 0, 0},
	{INPUT("250 ok"), 0, 0, 0, 0, 0},
	{INPUT("250\r"), 0, 0, 0, 0, 0},
	{INPUT("250-a\r\n"), 0, 0, 0, 0, 0},
	{INPUT("250-a\r\n25"), 0, 0, 0, 0, 0},
	/* No reply. */
	{INPUT("\r\n"), -1, 0, 0, 0, 0},
	{INPUT("\n"), -1, 0, 0, 0, 0},
	{INPUT("\0"), -1, 0, 0, 0, 0},
	{INPUT("150 a\r\n"), -1, 0, 0, 0, 0},
	{INPUT("600 a\r\n"), -1, 0, 0, 0, 0},
	{INPUT("25\r\n"), -1, 0, 0, 0, 0},
	{INPUT("2/0 a\r\n"), -1, 0, 0, 0, 0},
	{INPUT("25: a\r\n"), -1, 0, 0, 0, 0},
	{INPUT("2500 a\r\n"), -1, 0, 0, 0, 0},
	{INPUT("250\ta\r\n"), -1, 0, 0, 0, 0},
	{INPUT("250\r\r\n"), -1, 0, 0, 0, 0},
	{INPUT("250\ra\n"), -1, 0, 0, 0, 0},
	{INPUT("250-a\r\n350 b\r\n"), -1, 0, 0, 0, 0},
	{INPUT("250-a\r\n240 b\r\n"), -1, 0, 0, 0, 0},
	{INPUT("250-a\r\n251 b\r\n"), -1, 0, 0, 0, 0},
	{INPUT("250-a\r\n\r\n"), -1, 0, 0, 0, 0},
	{INPUT("\x16\x03\x03"), -1, 0, 0, 0, 0},
	{INPUT("EHLO a\r\n"), -1, 0, 0, 0, 0},
};

/* Feeds pieces of piece_len, the first one of first_len. Each is a copy of its exact size, so that
 * a sanitizer sees any read past it. */
static ssize_t
feed(struct reply_reader *reader, const char *input, size_t len, size_t first_len, size_t piece_len)
{
	reply_reader_init(reader);
	ck_assert(!reply_reader_is_begun(reader));
	for (size_t at = 0, want = first_len; at < len; at += want, want = piece_len) {
		if (want > len - at)
			want = len - at;
		if (want == 0)
			continue;
		uint8_t *piece = malloc(want);
		memcpy(piece, input + at, want);
		ssize_t taken = reply_reader_feed(reader, piece, want);
		free(piece);
		if (taken != 0)
			return taken < 0 ? -1 : (ssize_t)at + taken;
		ck_assert(reply_reader_is_begun(reader));
	}
	return 0;
}

static void
assert_row(size_t row, const struct reply_reader *reader, ssize_t result)
{
	ck_assert_int_eq(result, rows[row].result);
	if (result <= 0)
		return;
	ck_assert_uint_eq(reader->status.code, rows[row].code);
	ck_assert_uint_eq(reader->status.class, rows[row].class);
	ck_assert_uint_eq(reader->status.subject, rows[row].subject);
	ck_assert_uint_eq(reader->status.detail, rows[row].detail);
}

START_TEST(splits)
{
	size_t row = (size_t)_i, len = rows[row].len;
	struct reply_reader reader;
	for (size_t cut = 0; cut <= len; cut++)
		assert_row(row, &reader, feed(&reader, rows[row].input, len, cut, len));
	assert_row(row, &reader, feed(&reader, rows[row].input, len, 1, 1));
}
END_TEST

/* Of one line, or of many. */
START_TEST(too_long)
{
	enum { ROOM = REPLY_READER_MAX + 10 };
	static char input[ROOM];
	struct reply_reader reader;
	for (size_t line = 100; line <= ROOM; line += ROOM - 100) {
		memset(input, 'x', ROOM);
		for (size_t at = 0; at < ROOM; at += line)
			memcpy(input + at, "250-", 4);
		for (size_t at = line; at < ROOM; at += line)
			input[at - 1] = '\n';
		for (size_t piece_len = 1; piece_len <= 100000; piece_len *= 10) {
			memcpy(input + REPLY_READER_MAX - 7, "\n250 x\n", 7);
			ck_assert_int_eq(
				feed(&reader, input, ROOM, piece_len, piece_len), REPLY_READER_MAX);
			memcpy(input + REPLY_READER_MAX - 7, "\n250 xx\n", 8);
			ck_assert_int_eq(feed(&reader, input, ROOM, piece_len, piece_len), -1);
			ck_assert_int_eq(
				feed(&reader, input, REPLY_READER_MAX - 1, piece_len, piece_len),
				0);
		}
	}
}
END_TEST

static void
fill(TCase *cases)
{
	tcase_add_loop_test(cases, splits, 0, sizeof(rows) / sizeof(rows[0]));
	tcase_add_test(cases, too_long);
}

UNIT_MAIN("reply_reader", fill)

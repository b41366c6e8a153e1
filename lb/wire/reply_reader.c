/*
 * Reads replies a byte at a time up to their text, so that where the pieces were split can't
 * matter. Runs in the session's worker, the struct is the session's.
 */
#include "lb/wire/reply_reader.h"

#include <stdio.h>
#include <string.h>

enum {
	DIGITS = 3, /* of a code; at most so many of subject and detail */
	BASE = 10,
	CLASS_UNIT = 100,
};

/* What is awaited. */
enum phase {
	CODE,
	MARK, /* what stands behind the code */
	LF,   /* behind the CR of a bare code */
	CLASS,
	CLASS_DOT,
	SUBJECT,
	DETAIL,
	TEXT,
};

void
reply_reader_init(struct reply_reader *reader)
{
	memset(reader, 0, sizeof(*reader));
}

bool
reply_reader_is_begun(const struct reply_reader *reader)
{
	return reader->total > 0;
}

static bool
is_digit(uint8_t byte)
{
	return byte >= '0' && byte <= '9';
}

/* Whether an enhanced code may end before this. */
static bool
is_end(uint8_t byte)
{
	return byte == ' ' || byte == '\r' || byte == '\n';
}

/* The first digit is one of 2 to 5, and "the reply code on each of the lines MUST be the same":
 * section 4.2.1. */
static int
take_code(struct reply_reader *reader, uint8_t byte)
{
	static const uint16_t units[DIGITS] = {CLASS_UNIT, BASE, 1};
	struct reply_status *status = &reader->status;
	uint16_t unit = units[reader->column];
	if (!is_digit(byte) || (unit == CLASS_UNIT && (byte < '2' || byte > '5')))
		return -1;
	if (reader->later && status->code / unit % BASE != byte - '0')
		return -1;
	if (!reader->later)
		status->code = (uint16_t)(status->code + unit * (byte - '0'));
	reader->column++;
	if (reader->column == DIGITS)
		reader->phase = MARK;
	return 0;
}

static int
take_mark(struct reply_reader *reader, uint8_t byte)
{
	reader->last = byte != '-';
	if (byte == '\r')
		reader->phase = LF;
	else if (byte == ' ' || byte == '-')
		reader->phase = CLASS;
	else
		return byte == '\n' ? 0 : -1;
	return 0;
}

/* This text begins with no enhanced code. */
static void
give_up(struct reply_reader *reader)
{
	reader->status.class = 0;
	reader->status.subject = 0;
	reader->status.detail = 0;
	reader->phase = TEXT;
}

/* Takes another digit of subject or detail. */
static void
take_digit(struct reply_reader *reader, uint16_t *number, uint8_t byte)
{
	if (reader->column == DIGITS) {
		give_up(reader);
		return;
	}
	*number = (uint16_t)(*number * BASE + byte - '0');
	reader->column++;
}

/* Takes a byte of the text as far as it may be an enhanced code: class "." subject "." detail, of
 * 1 to 3 digits, the class that of the reply and never 3 (RFC 2034 section 4). */
static void
take_enhanced(struct reply_reader *reader, uint8_t byte)
{
	struct reply_status *status = &reader->status;
	int class = status->code / CLASS_UNIT;
	bool number = reader->phase == SUBJECT || reader->phase == DETAIL;
	bool ends = number && reader->column > 0;
	if (reader->phase == CLASS && byte - '0' == class && class != 3) {
		status->class = (uint8_t) class;
		reader->phase = CLASS_DOT;
	} else if (number && is_digit(byte)) {
		take_digit(reader, reader->phase == SUBJECT ? &status->subject : &status->detail,
			byte);
	} else if (byte == '.' &&
		   (reader->phase == CLASS_DOT || (ends && reader->phase == SUBJECT))) {
		reader->phase = reader->phase == SUBJECT ? DETAIL : SUBJECT;
		reader->column = 0;
	} else if (ends && reader->phase == DETAIL && is_end(byte)) {
		reader->phase = TEXT;
	} else {
		give_up(reader);
	}
}

static int
take(struct reply_reader *reader, uint8_t byte)
{
	if (reader->phase == CODE)
		return take_code(reader, byte);
	if (reader->phase == MARK)
		return take_mark(reader, byte);
	if (reader->phase == LF)
		return byte == '\n' ? 0 : -1;
	take_enhanced(reader, byte);
	return 0;
}

static void
begin_line(struct reply_reader *reader)
{
	give_up(reader);
	reader->phase = CODE;
	reader->column = 0;
	reader->later = true;
}

/* Takes the rest of a line, or what there is of it. Returns how much, or -1. */
static ssize_t
take_line(struct reply_reader *reader, const uint8_t *piece, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (reader->phase == TEXT) {
			const uint8_t *lf = memchr(piece + i, '\n', len - i);
			return lf ? lf - piece + 1 : (ssize_t)len;
		}
		if (take(reader, piece[i]) < 0)
			return -1;
		if (piece[i] == '\n')
			return (ssize_t)i + 1;
	}
	return (ssize_t)len;
}

ssize_t
reply_reader_feed(struct reply_reader *reader, const uint8_t *piece, size_t len)
{
	size_t room = REPLY_READER_MAX - reader->total;
	size_t end = len < room ? len : room;
	size_t at = 0;
	while (at < end) {
		ssize_t taken = take_line(reader, piece + at, end - at);
		if (taken < 0)
			return -1;
		at += (size_t)taken;
		reader->total += (uint32_t)taken;
		if (piece[at - 1] != '\n')
			continue;
		if (reader->last)
			return (ssize_t)at;
		begin_line(reader);
	}
	return reader->total == REPLY_READER_MAX ? -1 : 0;
}

const char *
reply_status_format(const struct reply_status *status, char buf[REPLY_STATUS_TEXT_MAX])
{
	int len = snprintf(buf, REPLY_STATUS_TEXT_MAX, "%u", (unsigned)status->code);
	if (status->class)
		snprintf(buf + len, REPLY_STATUS_TEXT_MAX - (size_t)len, " %u.%u.%u",
			(unsigned)status->class, (unsigned)status->subject,
			(unsigned)status->detail);
	return buf;
}

/*
 * Reads a greeting a byte at a time, so that where the pieces were split can't matter. Runs in the
 * session's worker, the struct is the session's.
 */
#include "lb/wire/greeting.h"

#include <stdlib.h>
#include <string.h>

enum {
	CODE_DIGITS = 3,
};

void
greeting_init(struct greeting *greeting)
{
	memset(greeting, 0, sizeof(*greeting));
}

/* Whether a line may go on with this byte: "NNN", then ' ', '-' or the line's end. */
static bool
fits(const struct greeting *greeting, size_t column, uint8_t byte)
{
	if (column < CODE_DIGITS && greeting->later)
		return byte == (uint8_t)greeting->line[column];
	if (column < CODE_DIGITS)
		return byte >= '0' && byte <= '9';
	if (column == CODE_DIGITS)
		return byte == ' ' || byte == '-' || byte == '\r' || byte == '\n';
	if (column == CODE_DIGITS + 1 && greeting->previous == '\r')
		return byte == '\n';
	return true;
}

/* Keeps a byte of the first line. */
static void
keep(struct greeting *greeting, size_t column, uint8_t byte)
{
	if (byte == '\n') {
		if (greeting->previous == '\r' && column <= GREETING_LINE_MAX)
			greeting->line[column - 1] = '\0';
	} else if (column < GREETING_LINE_MAX) {
		greeting->line[column] = (char)(byte ? byte : '?');
	}
	if (column == CODE_DIGITS - 1)
		greeting->code = (unsigned)strtoul(greeting->line, NULL, 10);
}

/* Takes one byte. Returns 1 when it ends the greeting, 0 or -1. */
static int
take(struct greeting *greeting, uint8_t byte)
{
	size_t column = greeting->column;
	if (!fits(greeting, column, byte))
		return -1;
	if (!greeting->later)
		keep(greeting, column, byte);
	if (column == CODE_DIGITS)
		greeting->last = byte != '-';
	greeting->previous = byte;
	greeting->column++;
	if (byte != '\n')
		return 0;
	greeting->later = true;
	greeting->column = 0;
	return greeting->last ? 1 : 0;
}

ssize_t
greeting_feed(struct greeting *greeting, const uint8_t *piece, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		greeting->total++;
		int taken = take(greeting, piece[i]);
		if (taken > 0)
			return (ssize_t)i + 1;
		if (taken < 0 || greeting->total == GREETING_MAX)
			return -1;
	}
	return 0;
}

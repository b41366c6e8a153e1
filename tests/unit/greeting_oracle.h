/*
 * What greeting_feed must say about an input that is there as a whole: written line by line, not
 * byte by byte, so that the two share no mistake. For the unit test and the fuzz target.
 */
#ifndef TESTS_UNIT_GREETING_ORACLE_H
#define TESTS_UNIT_GREETING_ORACLE_H

#include "lb/wire/greeting.h"

#include <string.h>

/* Whether the start of a line, perhaps the whole of it without its LF, can be a reply's. */
static bool
oracle_line_is_good(const uint8_t *line, size_t len, const uint8_t *first)
{
	for (size_t i = 0; i < len && i < 3; i++)
		if (line[i] < '0' || line[i] > '9' || line[i] != first[i])
			return false;
	if (len > 3 && !memchr(" -\r", line[3], 3))
		return false;
	return !(len > 4 && line[3] == '\r');
}

/* The greeting's length, 0 when more is needed, or -1. */
static ssize_t
oracle_read(const uint8_t *input, size_t len)
{
	size_t room = len < GREETING_MAX ? len : GREETING_MAX;
	size_t at = 0;
	while (at < room) {
		const uint8_t *line = input + at;
		const uint8_t *lf = memchr(line, '\n', room - at);
		size_t line_len = lf ? (size_t)(lf - line) : room - at;
		if (!oracle_line_is_good(line, line_len, input) || (lf && line_len < 3))
			return -1;
		at += line_len + 1;
		if (lf && (line_len == 3 || line[3] != '-'))
			return (ssize_t)at;
	}
	return room == GREETING_MAX ? -1 : 0;
}

#endif

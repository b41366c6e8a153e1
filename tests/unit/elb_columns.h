/*
 * A strict reader of our lines in the format elb, beside logfmt.h: what a consumer gets who splits
 * at blanks that are in no quotes, and takes back \xNN.
 */
#ifndef TESTS_UNIT_ELB_COLUMNS_H
#define TESTS_UNIT_ELB_COLUMNS_H

#include "tests/unit/logfmt.h"

struct elb_column {
	bool quoted;
	bool none; /* a - that is no escape */
	uint8_t value[LOG_LINE_MAX];
	size_t len;
};

static inline const char *
elb_byte(const char *at, const char *end, struct elb_column *column)
{
	if (*at != '\\') {
		column->value[column->len++] = (uint8_t)*at;
		return at + 1;
	}
	if (end - at < 4 || at[1] != 'x' || logfmt_hex(at[2]) < 0 || logfmt_hex(at[3]) < 0)
		return NULL;
	column->value[column->len++] = (uint8_t)(logfmt_hex(at[2]) << 4 | logfmt_hex(at[3]));
	return at + 4;
}

/* Reads the column at `at`, and the blank behind it where another follows. Returns the next place,
 * or NULL when this is no column. */
static inline const char *
elb_next(const char *at, const char *end, struct elb_column *column)
{
	column->len = 0;
	column->quoted = at < end && *at == '"';
	at += column->quoted;
	const char *start = at;
	while (at && at < end && *at != '"' && (column->quoted || *at != ' '))
		at = *at >= ' ' && *at <= '~' ? elb_byte(at, end, column) : NULL;
	if (!at || at == start)
		return NULL;
	column->none = at - start == 1 && *start == '-';
	if (column->quoted && (at == end || *at++ != '"'))
		return NULL;
	if (at == end)
		return at;
	return *at == ' ' && at + 1 < end ? at + 1 : NULL;
}

#endif

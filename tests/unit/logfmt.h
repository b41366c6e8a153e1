/*
 * A strict reader of our logfmt lines, for the log's unit test and fuzz target: what a consumer
 * gets back out of a line. It takes nothing but the one spelling that the log may choose.
 */
#ifndef TESTS_UNIT_LOGFMT_H
#define TESTS_UNIT_LOGFMT_H

#include "lb/log.h"

#include <string.h>

struct logfmt_pair {
	char key[32];
	uint8_t value[LOG_LINE_MAX];
	size_t len; /* 0 = no value */
};

static inline bool
logfmt_is_plain(char c)
{
	return c > ' ' && c <= '~' && !strchr("\"=\\", c);
}

static inline int
logfmt_hex(char c)
{
	const char *digits = "0123456789abcdef";
	const char *at = c ? strchr(digits, c) : NULL;
	return at ? (int)(at - digits) : -1;
}

/* Reads what stands behind a backslash. Returns the next place or NULL. */
static inline const char *
logfmt_escape(const char *at, const char *end, uint8_t *byte)
{
	static const char names[] = "\"\\nrt", bytes[] = "\"\\\n\r\t";
	if (at == end)
		return NULL;
	const char *name = *at ? strchr(names, *at) : NULL;
	if (name) {
		*byte = (uint8_t)bytes[name - names];
		return at + 1;
	}
	if (*at != 'x' || end - at < 3 || logfmt_hex(at[1]) < 0 || logfmt_hex(at[2]) < 0)
		return NULL;
	*byte = (uint8_t)(logfmt_hex(at[1]) << 4 | logfmt_hex(at[2]));
	bool named = *byte == '\n' || *byte == '\r' || *byte == '\t';
	return named || (*byte >= ' ' && *byte <= '~') ? NULL : at + 3;
}

/* Reads a value from behind its opening quote to behind the closing one. */
static inline const char *
logfmt_quoted(const char *at, const char *end, struct logfmt_pair *pair)
{
	bool needed = false;
	while (at < end && *at != '"') {
		needed |= !logfmt_is_plain(*at);
		if (*at == '\\')
			at = logfmt_escape(at + 1, end, &pair->value[pair->len++]);
		else if (*at >= ' ' && *at <= '~')
			pair->value[pair->len++] = (uint8_t)*at++;
		else
			return NULL;
		if (!at)
			return NULL;
	}
	needed |= pair->len == 1 && pair->value[0] == '-';
	return at < end && needed ? at + 1 : NULL;
}

/* Reads the pair at `at`, and the blank behind it where another follows. Returns the next place, or
 * NULL when this is no pair. */
static inline const char *
logfmt_next(const char *at, const char *end, struct logfmt_pair *pair)
{
	pair->len = 0;
	size_t key_len = 0;
	while (at < end && ((*at >= 'a' && *at <= 'z') || *at == '_')) {
		if (key_len + 1 == sizeof(pair->key))
			return NULL;
		pair->key[key_len++] = *at++;
	}
	pair->key[key_len] = '\0';
	if (key_len == 0 || at == end || *at++ != '=' || at == end)
		return NULL;
	if (*at == '"') {
		at = logfmt_quoted(at + 1, end, pair);
	} else {
		const char *start = at;
		while (at < end && logfmt_is_plain(*at))
			pair->value[pair->len++] = (uint8_t)*at++;
		if (pair->len == 0)
			return NULL;
		if (pair->len == 1 && *start == '-')
			pair->len = 0;
	}
	if (!at || at == end)
		return at;
	return *at == ' ' && at + 1 < end ? at + 1 : NULL;
}

#endif

/*
 * A strict reader of our JSON lines, beside logfmt.h: it takes nothing but the one spelling that
 * the log may choose, and gives peers' bytes back as they were.
 */
#ifndef TESTS_UNIT_LOG_JSON_H
#define TESTS_UNIT_LOG_JSON_H

#include "tests/unit/logfmt.h"

/* Reads what stands behind a backslash. Returns the next place or NULL. */
static inline const char *
json_escape(const char *at, const char *end, uint8_t *byte)
{
	static const char names[] = "\"\\nrt", bytes[] = "\"\\\n\r\t";
	if (at == end)
		return NULL;
	const char *name = *at ? strchr(names, *at) : NULL;
	if (name) {
		*byte = (uint8_t)bytes[name - names];
		return at + 1;
	}
	if (end - at < 5 || strncmp(at, "u00", 3) != 0 || logfmt_hex(at[3]) < 0 ||
		logfmt_hex(at[4]) < 0)
		return NULL;
	*byte = (uint8_t)(logfmt_hex(at[3]) << 4 | logfmt_hex(at[4]));
	bool named = *byte == '\n' || *byte == '\r' || *byte == '\t';
	return named || (*byte >= ' ' && *byte <= '~') ? NULL : at + 5;
}

/* Reads a string from behind its opening quote to behind the closing one. */
static inline const char *
json_string(const char *at, const char *end, struct logfmt_pair *pair)
{
	while (at && at < end && *at != '"') {
		if (*at == '\\')
			at = json_escape(at + 1, end, &pair->value[pair->len++]);
		else if (*at >= ' ' && *at <= '~')
			pair->value[pair->len++] = (uint8_t)*at++;
		else
			return NULL;
	}
	return at && at < end && pair->len > 0 ? at + 1 : NULL;
}

/* Reads a number, null or true. */
static inline const char *
json_word(const char *at, const char *end, struct logfmt_pair *pair)
{
	const char *start = at;
	while (at < end && ((*at >= '0' && *at <= '9') || (*at >= 'a' && *at <= 'z')))
		pair->value[pair->len++] = (uint8_t)*at++;
	size_t digits = strspn(start, "0123456789");
	if (pair->len == 4 && strncmp(start, "null", 4) == 0)
		pair->len = 0;
	else if (pair->len != 4 || strncmp(start, "true", 4) != 0)
		if (digits != pair->len || digits == 0 || (digits > 1 && *start == '0'))
			return NULL;
	return at;
}

/* Reads the pair at `at`, which stands behind the object's opening brace or a pair before it, and
 * the comma or the closing brace behind it. Returns the next place, or NULL when this is no pair.
 * The text has a NUL, or anything but a digit, at its end. */
static inline const char *
json_next(const char *at, const char *end, struct logfmt_pair *pair)
{
	pair->len = 0;
	size_t key_len = 0;
	if (at == end || *at++ != '"')
		return NULL;
	while (at < end && ((*at >= 'a' && *at <= 'z') || *at == '_')) {
		if (key_len + 1 == sizeof(pair->key))
			return NULL;
		pair->key[key_len++] = *at++;
	}
	pair->key[key_len] = '\0';
	if (key_len == 0 || end - at < 3 || at[0] != '"' || at[1] != ':')
		return NULL;
	at += 2;
	at = *at == '"' ? json_string(at + 1, end, pair) : json_word(at, end, pair);
	if (!at || at == end)
		return NULL;
	if (*at == '}')
		return at + 1 == end ? end : NULL;
	return *at == ',' && at + 1 < end ? at + 1 : NULL;
}

/* In either format; a line without its newline. Start with at = line. */
static inline const char *
log_pair_next(enum log_format format, const char *line, const char *at, const char *end,
	struct logfmt_pair *pair)
{
	if (format == LOG_LOGFMT)
		return logfmt_next(at, end, pair);
	if (at == line && (at == end || *at++ != '{'))
		return NULL;
	return json_next(at, end, pair);
}

#endif

/*
 * Numbers and durations as they are written in the configuration. Pure: no memory, any thread.
 */
#ifndef CONF_UNIT_H
#define CONF_UNIT_H

#include <stdint.h>

enum {
	DURATION_TEXT_MAX = 24,
};

/* Decimal digits and nothing else. Returns 0, or -1 with *why set to a static text. */
int unit_parse_number(uint64_t *number, const char *text, const char **why);

/* A number with its unit, one of ms, s, m, h, d; a bare 0 needs none. The result is in
 * milliseconds. Returns 0, or -1 with *why set to a static text. */
int unit_parse_duration(uint64_t *ms, const char *text, const char **why);

/* Writes the duration in the largest unit that divides it, and returns buf. */
const char *unit_format_duration(uint64_t ms, char buf[DURATION_TEXT_MAX]);

#endif

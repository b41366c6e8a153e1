/*
 * Numbers and durations; see unit.h. Pure: no memory, any thread.
 */
#include "conf/unit.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* From the largest down, as unit_format_duration wants them. */
static const struct unit {
	const char *name;
	uint64_t ms;
} units[] = {
	{"d", 86400000},
	{"h", 3600000},
	{"m", 60000},
	{"s", 1000},
	{"ms", 1},
};
enum {
	UNIT_COUNT = sizeof(units) / sizeof(units[0]),
};

static const char too_large[] = "is too large";

/* Returns what follows the digits, NULL when there are none or too many of them. */
static const char *
parse_digits(uint64_t *number, const char *text, const char **why)
{
	const char *at = text;
	*number = 0;
	for (; *at >= '0' && *at <= '9'; at++) {
		if (__builtin_mul_overflow(*number, (uint64_t)10, number) ||
			__builtin_add_overflow(*number, (uint64_t)(*at - '0'), number)) {
			*why = too_large;
			return NULL;
		}
	}
	if (at == text) {
		*why = "is not a number (digits only)";
		return NULL;
	}
	return at;
}

int
unit_parse_number(uint64_t *number, const char *text, const char **why)
{
	const char *end = parse_digits(number, text, why);
	if (!end)
		return -1;
	if (*end) {
		*why = "is not a number (digits only)";
		return -1;
	}
	return 0;
}

int
unit_parse_duration(uint64_t *ms, const char *text, const char **why)
{
	uint64_t number;
	const char *unit = parse_digits(&number, text, why);
	if (!unit) {
		if (*why != too_large)
			*why = "is not a duration: write a whole number and a unit, as in 30s";
		return -1;
	}
	if (!*unit && number) {
		*why = "needs a unit: ms, s, m, h or d, as in 30s";
		return -1;
	}
	if (!*unit) {
		*ms = 0;
		return 0;
	}
	for (size_t i = 0; i < UNIT_COUNT; i++) {
		if (strcmp(unit, units[i].name) != 0)
			continue;
		if (!__builtin_mul_overflow(number, units[i].ms, ms))
			return 0;
		*why = too_large;
		return -1;
	}
	*why = "has an unknown unit: use ms, s, m, h or d, one of them, as in 90s";
	return -1;
}

const char *
unit_format_duration(uint64_t ms, char buf[DURATION_TEXT_MAX])
{
	if (!ms)
		return memcpy(buf, "0s", sizeof("0s"));
	const struct unit *unit = units;
	while (ms % unit->ms)
		unit++;
	snprintf(buf, DURATION_TEXT_MAX, "%" PRIu64 "%s", ms / unit->ms, unit->name);
	return buf;
}

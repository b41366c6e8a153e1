/*
 * The wall clock: what people read, in the log and in answers. Nothing is decided by it; see
 * clock.h.
 */
#ifndef LB_WALL_H
#define LB_WALL_H

#include <stdint.h>

enum {
	WALL_TEXT_MAX = sizeof("2026-11-24T02:06:00.123Z"),
};

/* Microseconds, or milliseconds, since 1970, UTC. */
uint64_t wall_us(void);
uint64_t wall_ms(void);

/* RFC 3339, in UTC: "2026-11-24T02:06:00.123Z". Returns buf. */
const char *wall_format(uint64_t ms, char buf[WALL_TEXT_MAX]);

#endif

/*
 * The one clock for deadlines and durations: monotonic, so that a jump of the wall clock moves
 * nothing. Milliseconds, or microseconds, since some fixed moment, never 0.
 */
#ifndef LB_CLOCK_H
#define LB_CLOCK_H

#include <stdint.h>
#include <time.h>

static inline uint64_t
clock_us(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return ((uint64_t)now.tv_sec * 1000 + 1) * 1000 + (uint64_t)now.tv_nsec / 1000;
}

static inline uint64_t
clock_ms(void)
{
	return clock_us() / 1000;
}

/* From now to that moment; 0 when it has passed. */
static inline uint64_t
clock_ms_until(uint64_t moment_ms)
{
	uint64_t now = clock_ms();
	return moment_ms > now ? moment_ms - now : 0;
}

static inline uint64_t
clock_min(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

#endif

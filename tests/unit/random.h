/*
 * Random numbers that are the same on every machine: xorshift64*.
 */
#ifndef TESTS_UNIT_RANDOM_H
#define TESTS_UNIT_RANDOM_H

#include <stdint.h>

/* state: any seed but 0. */
static inline uint64_t
random_next(uint64_t *state)
{
	*state ^= *state >> 12;
	*state ^= *state << 25;
	*state ^= *state >> 27;
	return *state * 2685821657736338717u;
}

static inline unsigned
random_below(uint64_t *state, unsigned limit)
{
	return (unsigned)(random_next(state) >> 32) % limit;
}

#endif

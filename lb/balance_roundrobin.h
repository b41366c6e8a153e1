/*
 * Weighted round robin as a cycle: a sequence in which each member stands as often as its weight
 * says, spread as evenly as can be (the smooth weighted order), repeated for ever. Taken step by
 * step it is exact over a cycle, and with equal weights within one of every member's share in any
 * window. Pure functions; the pool's mutex guards what they work on.
 */
#ifndef LB_BALANCE_ROUNDROBIN_H
#define LB_BALANCE_ROUNDROBIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* One member of a smooth weighted choice. */
struct smooth {
	unsigned weight;
	int64_t credit; /* 0 at the start; private afterwards */
};

/* The member whose turn it is among those whose bit is set in `among` (a bit a member, 64 to a
 * word), or -1 when there is none. Over time each is chosen in proportion to its weight. */
int smooth_choose(struct smooth *members, size_t count, const uint64_t *among);

/* Writes one cycle over the members whose bit is set and returns its length: the sum of their
 * weights divided by the greatest common divisor; 0 when there is none. cycle has room for the sum
 * of all weights. */
size_t roundrobin_cycle(
	uint8_t *cycle, const struct smooth *members, size_t count, const uint64_t *among);

static inline bool
bit_is_set(const uint64_t *bits, size_t i)
{
	return bits[i / 64] >> (i % 64) & 1;
}

static inline void
bit_set(uint64_t *bits, size_t i)
{
	bits[i / 64] |= UINT64_C(1) << (i % 64);
}

#endif

/*
 * Weighted round robin. Time runs in rounds, and a member of weight w has its turn w times a round,
 * at the middle of each w-th part of it: heavy members come often but not in a row. The rotation
 * goes from turn to turn and passes over those who can't take theirs.
 *
 * So among any members that stay the same it is exact: over a cycle (the sum of their weights
 * divided by the greatest common divisor) from any moment on, and with equal weights within one of
 * everybody's share in any window. Who was away comes back at his next turn, and what he missed was
 * spread over the others.
 *
 * Pure functions in exact arithmetic; the pool's mutex guards what they work on.
 */
#ifndef LB_BALANCE_ROUNDROBIN_H
#define LB_BALANCE_ROUNDROBIN_H

#include "lb/member_set.h"

/* A moment: the middle of part `part` (from 0) of a round that is cut into `parts`. */
struct turn {
	uint64_t round;
	unsigned part, parts;
};

/* All zero is an empty one at the beginning. */
struct rotation {
	struct turn now;                     /* of the turn taken last; parts 0 before the first */
	struct turn next[POOL_BACKENDS_MAX]; /* of each member; parts is its weight */
	unsigned count;
	int last; /* the member that had it; -1 when it is gone */
};

/* Members get new indices and weights: from[i] is the former index of the member that is now i, -1
 * for a new one. Who stays with his weight keeps his turn. */
void rotation_change(
	struct rotation *rotation, unsigned count, const int *from, const unsigned *weights);

/* The member whose turn it is among the set, which then has had it; -1 for an empty set. */
int rotation_take(struct rotation *rotation, const struct member_set *among);

#endif

/*
 * Least connections: those members that carry the fewest sessions, attempts included, for their
 * weight. Which of several has the next one is left to the rotation. Pure; the pool's mutex guards
 * the backends.
 */
#ifndef LB_BALANCE_LEASTCONN_H
#define LB_BALANCE_LEASTCONN_H

#include "lb/backend.h"
#include "lb/member_set.h"

/* The members of `among` that have the least; empty only where that is. */
struct member_set leastconn_least(
	struct backend *const *members, unsigned count, const struct member_set *among);

#endif

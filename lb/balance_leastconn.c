/*
 * The least loaded of a pool. No state.
 */
#include "lb/balance_leastconn.h"

static bool
has_less(const struct backend *a, const struct backend *b)
{
	return (uint64_t)a->active * b->weight < (uint64_t)b->active * a->weight;
}

struct member_set
leastconn_least(struct backend *const *members, unsigned count, const struct member_set *among)
{
	struct member_set least = {{0}};
	const struct backend *best = NULL;
	for (unsigned i = 0; i < count; i++) {
		if (!member_set_has(among, i) || (best && has_less(best, members[i])))
			continue;
		if (!best || has_less(members[i], best)) {
			best = members[i];
			least = (struct member_set){{0}};
		}
		member_set_add(&least, i);
	}
	return least;
}

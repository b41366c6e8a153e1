/*
 * Smooth weighted round robin: at each step every member gains its weight in credit, the richest is
 * chosen and pays the sum of all weights. Heavy members come often but not in a row. No state.
 */
#include "lb/balance_roundrobin.h"

#include "conf/snapshot.h"

int
smooth_choose(struct smooth *members, size_t count, const uint64_t *among)
{
	int chosen = -1;
	int64_t total = 0;
	for (size_t i = 0; i < count; i++) {
		if (!bit_is_set(among, i))
			continue;
		members[i].credit += members[i].weight;
		total += members[i].weight;
		if (chosen < 0 || members[i].credit > members[chosen].credit)
			chosen = (int)i;
	}
	if (chosen >= 0)
		members[chosen].credit -= total;
	return chosen;
}

static unsigned
common_divisor(unsigned a, unsigned b)
{
	while (b > 0) {
		unsigned rest = a % b;
		a = b;
		b = rest;
	}
	return a;
}

size_t
roundrobin_cycle(uint8_t *cycle, const struct smooth *members, size_t count, const uint64_t *among)
{
	struct smooth fresh[POOL_BACKENDS_MAX];
	unsigned divisor = 0;
	size_t total = 0;
	for (size_t i = 0; i < count; i++) {
		fresh[i] = (struct smooth){.weight = members[i].weight};
		if (!bit_is_set(among, i))
			continue;
		divisor = common_divisor(divisor, members[i].weight);
		total += members[i].weight;
	}
	if (total == 0)
		return 0;
	size_t len = total / divisor;
	for (size_t i = 0; i < len; i++)
		cycle[i] = (uint8_t)smooth_choose(fresh, count, among);
	return len;
}

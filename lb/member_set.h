/*
 * Some of a pool's members, a bit each, by their index in the pool. A plain value.
 */
#ifndef LB_MEMBER_SET_H
#define LB_MEMBER_SET_H

#include "conf/snapshot.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	MEMBER_WORDS = POOL_BACKENDS_MAX / 64,
};

struct member_set {
	uint64_t bits[MEMBER_WORDS];
};

static inline bool
member_set_has(const struct member_set *set, size_t i)
{
	return set->bits[i / 64] >> (i % 64) & 1;
}

static inline void
member_set_add(struct member_set *set, size_t i)
{
	set->bits[i / 64] |= UINT64_C(1) << (i % 64);
}

static inline bool
member_set_is_empty(const struct member_set *set)
{
	uint64_t any = 0;
	for (size_t i = 0; i < MEMBER_WORDS; i++)
		any |= set->bits[i];
	return !any;
}

#endif

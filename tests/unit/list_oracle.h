/*
 * A naive oracle for lists of prefixes: it asks each entry about each address. Prefixes differ in a
 * few bits only, so that all cases of nesting, covering and repeating come up.
 */
#ifndef TESTS_UNIT_LIST_ORACLE_H
#define TESTS_UNIT_LIST_ORACLE_H

#include "acl/addr.h"
#include "tests/unit/random.h"

#include <stdbool.h>
#include <stddef.h>

enum {
	BITS = 6, /* in which prefixes differ ... */
	ADDRESSES = 1 << BITS,
};

enum says {
	ALLOW,
	DENY,
	DUNNO,
};

struct entry {
	struct prefix prefix;
	enum says says;
	unsigned file; /* for the test's own use, as is the line */
	unsigned line;
};

/* ... behind so many, by family. */
struct base {
	unsigned bits[3];
};

static inline struct base
random_base(uint64_t *state)
{
	static const unsigned v4[] = {0, 5, 26};
	static const unsigned v6[] = {0, 61, 122};
	return (struct base){
		{[ADDR_V4] = v4[random_below(state, 3)], [ADDR_V6] = v6[random_below(state, 3)]}};
}

static inline void
set_bits(struct addr *addr, unsigned base, unsigned number)
{
	for (unsigned i = 0; i < BITS; i++)
		if (number & 1u << (BITS - 1 - i))
			addr->bytes[(base + i) / 8] |= (uint8_t)(0x80 >> (base + i) % 8);
}

static inline struct prefix
random_prefix(uint64_t *state, const struct base *base)
{
	struct prefix prefix = {.addr.family = random_below(state, 3) ? ADDR_V4 : ADDR_V6};
	unsigned bits = base->bits[prefix.addr.family];
	unsigned len = random_below(state, BITS + 1);
	unsigned number = random_below(state, ADDRESSES);
	set_bits(&prefix.addr, bits, number >> (BITS - len) << (BITS - len));
	prefix.len = (uint8_t)(bits + len);
	return prefix;
}

/* Address number 0 to 2 * ADDRESSES - 1: all that the prefixes tell apart. */
static inline struct addr
numbered_addr(const struct base *base, unsigned number)
{
	struct addr addr = {.family = number % 2 ? ADDR_V4 : ADDR_V6};
	set_bits(&addr, base->bits[addr.family], number / 2);
	return addr;
}

/* The ways to look at an address: the first entry, the one that decides here, and the innermost
 * prefix; NULL where there is none. */
struct look {
	const struct entry *first;
	const struct entry *best;
	const struct entry *inner;
};

static inline bool
is_better(const struct entry *entry, const struct entry *best)
{
	if (entry->says == DUNNO)
		return false;
	if (!best || entry->prefix.len != best->prefix.len)
		return !best || entry->prefix.len > best->prefix.len;
	return entry->says == DENY && best->says == ALLOW;
}

static inline struct look
look_at(const struct entry *entries, size_t count, const struct addr *addr)
{
	struct look look = {NULL, NULL, NULL};
	for (size_t i = 0; i < count; i++) {
		const struct entry *entry = &entries[i];
		if (!prefix_contains(&entry->prefix, addr))
			continue;
		if (!look.first)
			look.first = entry;
		if (!look.inner || entry->prefix.len > look.inner->prefix.len)
			look.inner = entry;
		if (is_better(entry, look.best))
			look.best = entry;
	}
	return look;
}

static inline bool
look_differs(const struct look *look)
{
	if (!look->first)
		return false;
	return look->first->says != (look->best ? look->best->says : DUNNO);
}

#endif

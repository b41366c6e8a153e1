/*
 * Longest-prefix table for millions of IPv4 and IPv6 prefixes: filled, sealed, then only read.
 *
 * Each family is one array sorted by (address, length), in which every entry knows the nearest
 * prefix that encloses it. The last entry that starts at or below an address either contains it or
 * has an ancestor that does, or none does: a binary search and a short walk up. The search starts
 * in an index of every 16th entry, which stays in the cache where the entries don't.
 *
 * One thread fills and seals; from then on any number may look up without a lock. The table owns
 * its arrays: 33 bytes an entry, sealing included.
 */
#ifndef ACL_PREFIX_TABLE_H
#define ACL_PREFIX_TABLE_H

#include "acl/addr.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PREFIX_NO_PARENT UINT32_MAX

struct prefix_entry {
	unsigned __int128 first; /* the lowest address as a number; IPv4 in the low 32 bits */
	union {
		uint32_t order;  /* until the seal: how many had been added before */
		uint32_t parent; /* after it: index of the nearest enclosing entry */
	};
	uint32_t file; /* where the rule stands: the caller's number of the file ... */
	uint32_t line; /* ... and the line */
	uint8_t len;
	bool allow;
	bool dunno; /* no rule: it only stands where Postfix would stop; never in a sealed table */
};

/* The prefixes of one family. */
struct prefix_set {
	enum addr_family family;
	struct prefix_entry *entries;
	size_t count;
	size_t capacity;
	unsigned __int128 *index; /* `first` of every 16th entry; set by the seal */
	/* Set by the seal, over all that was added: a deny of the same prefix takes nothing away.
	 */
	size_t allows;
	bool allows_all;            /* together they contain every address of the family */
	struct prefix_entry widest; /* the shortest of them; when allows > 0 */
};

struct prefix_table {
	struct prefix_set v4;
	struct prefix_set v6;
	uint32_t added; /* so far, what was taken out again included */
};

/* How much the table held at some time, for going back to it. */
struct prefix_mark {
	size_t v4;
	size_t v6;
};

void prefix_table_init(struct prefix_table *table);
void prefix_table_fini(struct prefix_table *table);

void prefix_table_add(struct prefix_table *table, const struct prefix *prefix, bool allow,
	uint32_t file, uint32_t line);

/* Adds what says nothing about the addresses in it; to be dropped before the seal. */
void prefix_table_add_dunno(
	struct prefix_table *table, const struct prefix *prefix, uint32_t file, uint32_t line);

/* Before the seal: takes back what was added since the mark. */
struct prefix_mark prefix_table_mark(const struct prefix_table *table);
void prefix_table_rewind(struct prefix_table *table, struct prefix_mark mark);

/* Before the seal: takes back the dunnos that were added since the mark. */
void prefix_table_drop_dunnos(struct prefix_table *table, struct prefix_mark mark);

/* Sorts entries before the seal by address, length and order, in place: an enclosing prefix comes
 * before what it encloses. */
void prefix_sort(struct prefix_entry *entries, size_t count);

/* Sorts and links. Of rules for the same prefix one stays: a deny if there is one, else the first
 * that was added. */
void prefix_table_seal(struct prefix_table *table);

/* After the seal: the longest prefix that contains addr, or NULL. */
const struct prefix_entry *prefix_table_find(
	const struct prefix_table *table, const struct addr *addr);

/* The same among those that are shorter than len bits. */
const struct prefix_entry *prefix_table_find_shorter(
	const struct prefix_table *table, const struct addr *addr, unsigned len);

/* The highest address in it, as a number. */
unsigned __int128 prefix_entry_last(const struct prefix_entry *entry, enum addr_family family);

struct prefix prefix_entry_prefix(const struct prefix_entry *entry, enum addr_family family);

#endif

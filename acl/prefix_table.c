/*
 * Sorted prefixes with links to what encloses them. See prefix_table.h for threads and memory.
 */
#include "acl/prefix_table.h"

#include "acl/mem.h"

#include <assert.h>
#include <endian.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

static_assert(sizeof(struct prefix_entry) == 32, "a million entries are 32 MB");

/* Where the IPv4-mapped range of IPv6 starts and how big it is: no source is ever in there. */
#define MAPPED_FIRST ((unsigned __int128)0xffff << 32)
#define MAPPED_SIZE ((unsigned __int128)1 << 32)

enum {
	INDEX_STRIDE = 16,
};

static unsigned __int128
number_of(const struct addr *addr)
{
	uint64_t halves[2];
	memcpy(halves, addr->bytes, sizeof(halves));
	if (addr->family == ADDR_V4)
		return be64toh(halves[0]) >> 32;
	return (unsigned __int128)be64toh(halves[0]) << 64 | be64toh(halves[1]);
}

struct prefix
prefix_entry_prefix(const struct prefix_entry *entry, enum addr_family family)
{
	struct prefix prefix = {.addr.family = family, .len = entry->len};
	unsigned __int128 number = entry->first << (family == ADDR_V4 ? 96 : 0);
	uint64_t halves[2] = {htobe64((uint64_t)(number >> 64)), htobe64((uint64_t)number)};
	memcpy(prefix.addr.bytes, halves, sizeof(halves));
	return prefix;
}

/* The host part of an address, all ones. */
static unsigned __int128
host_mask(enum addr_family family, const struct prefix_entry *entry)
{
	unsigned bits = addr_bits(family) - entry->len;
	return bits == 128 ? ~(unsigned __int128)0 : ((unsigned __int128)1 << bits) - 1;
}

static bool
entry_contains(
	const struct prefix_set *set, const struct prefix_entry *entry, unsigned __int128 number)
{
	return ((number ^ entry->first) & ~host_mask(set->family, entry)) == 0;
}

unsigned __int128
prefix_entry_last(const struct prefix_entry *entry, enum addr_family family)
{
	return entry->first | host_mask(family, entry);
}

void
prefix_table_init(struct prefix_table *table)
{
	*table = (struct prefix_table){.v4.family = ADDR_V4, .v6.family = ADDR_V6};
}

void
prefix_table_fini(struct prefix_table *table)
{
	free(table->v4.entries);
	free(table->v4.index);
	free(table->v6.entries);
	free(table->v6.index);
	prefix_table_init(table);
}

static void
table_add(struct prefix_table *table, const struct prefix *prefix, struct prefix_entry entry)
{
	assert(prefix->addr.family != ADDR_NONE);
	struct prefix_set *set = prefix->addr.family == ADDR_V4 ? &table->v4 : &table->v6;
	assert(table->added < PREFIX_NO_PARENT);
	if (set->count == set->capacity) {
		void *grown = mem_try_grow(set->entries, &set->capacity, sizeof(*set->entries));
		if (!grown)
			return;
		set->entries = grown;
	}
	entry.first = number_of(&prefix->addr);
	entry.len = prefix->len;
	entry.order = table->added++;
	set->entries[set->count++] = entry;
}

void
prefix_table_add(struct prefix_table *table, const struct prefix *prefix, bool allow, uint32_t file,
	uint32_t line)
{
	table_add(table, prefix, (struct prefix_entry){.file = file, .line = line, .allow = allow});
}

void
prefix_table_add_dunno(
	struct prefix_table *table, const struct prefix *prefix, uint32_t file, uint32_t line)
{
	table_add(table, prefix, (struct prefix_entry){.file = file, .line = line, .dunno = true});
}

struct prefix_mark
prefix_table_mark(const struct prefix_table *table)
{
	return (struct prefix_mark){.v4 = table->v4.count, .v6 = table->v6.count};
}

void
prefix_table_rewind(struct prefix_table *table, struct prefix_mark mark)
{
	assert(mark.v4 <= table->v4.count && mark.v6 <= table->v6.count);
	table->v4.count = mark.v4;
	table->v6.count = mark.v6;
}

static void
set_drop_dunnos(struct prefix_set *set, size_t from)
{
	size_t kept = from;
	for (size_t i = from; i < set->count; i++)
		if (!set->entries[i].dunno)
			set->entries[kept++] = set->entries[i];
	set->count = kept;
}

void
prefix_table_drop_dunnos(struct prefix_table *table, struct prefix_mark mark)
{
	set_drop_dunnos(&table->v4, mark.v4);
	set_drop_dunnos(&table->v6, mark.v6);
}

/* Sums up the allow rules of a sorted set. The mapped range counts as covered: all the rest of IPv6
 * is every address that an IPv6 rule can let in. */
static void
set_sum_up(struct prefix_set *set)
{
	unsigned __int128 covered = 0; /* every address below is in an allow prefix */
	bool gap = false;
	for (size_t i = 0; i < set->count; i++) {
		const struct prefix_entry *entry = &set->entries[i];
		if (!entry->allow)
			continue;
		if (set->allows++ == 0 || entry->len < set->widest.len)
			set->widest = *entry;
		if (set->family == ADDR_V6 && covered == MAPPED_FIRST)
			covered += MAPPED_SIZE;
		gap |= entry->first > covered;
		unsigned __int128 last = prefix_entry_last(entry, set->family);
		unsigned __int128 top = set->family == ADDR_V4 ? UINT32_MAX : ~(unsigned __int128)0;
		set->allows_all |= !gap && last == top;
		if (last >= covered)
			covered = last + 1;
	}
}

static void
set_drop_repeats(struct prefix_set *set)
{
	size_t kept = 0;
	for (size_t i = 0; i < set->count; i++) {
		const struct prefix_entry *entry = &set->entries[i];
		struct prefix_entry *before = kept ? &set->entries[kept - 1] : NULL;
		if (!before || before->first != entry->first || before->len != entry->len)
			set->entries[kept++] = *entry;
		else if (before->allow && !entry->allow)
			*before = *entry;
	}
	set->count = kept;
	set->capacity = kept;
	void *resized = mem_try_resize(set->entries, kept, sizeof(*set->entries));
	if (resized)
		set->entries = resized;
}

/* What encloses an entry is its neighbour before it or encloses that one too. */
static void
set_link(struct prefix_set *set)
{
	for (size_t i = 0; i < set->count; i++) {
		uint32_t parent = i ? (uint32_t)(i - 1) : PREFIX_NO_PARENT;
		while (parent != PREFIX_NO_PARENT &&
			!entry_contains(set, &set->entries[parent], set->entries[i].first))
			parent = set->entries[parent].parent;
		set->entries[i].parent = parent;
	}
}

/* A load that has no memory for it goes on, and may look things up: it finds nothing. */
static void
set_index(struct prefix_set *set)
{
	set->index = mem_try_resize(NULL, set->count / INDEX_STRIDE + 1, sizeof(*set->index));
	if (!set->index)
		set->count = 0;
	for (size_t i = 0; i < set->count; i += INDEX_STRIDE)
		set->index[i / INDEX_STRIDE] = set->entries[i].first;
}

static void
set_seal(struct prefix_set *set)
{
	prefix_sort(set->entries, set->count);
	set_sum_up(set);
	set_drop_repeats(set);
	set_link(set);
	set_index(set);
}

void
prefix_table_seal(struct prefix_table *table)
{
	set_seal(&table->v4);
	set_seal(&table->v6);
}

/* The last entry that starts at or below the number; the first one when all start above; NULL when
 * there is none. The loops have no branch to mispredict: compilers make conditional moves of them.
 */
static const struct prefix_entry *
set_search(const struct prefix_set *set, unsigned __int128 number)
{
	if (set->count == 0)
		return NULL;
	const unsigned __int128 *mark = set->index;
	for (size_t n = (set->count - 1) / INDEX_STRIDE + 1; n > 1; n -= n / 2)
		mark += mark[n / 2] <= number ? n / 2 : 0;
	size_t start = (size_t)(mark - set->index) * INDEX_STRIDE;
	size_t rest = set->count - start;
	const struct prefix_entry *base = set->entries + start;
	for (size_t n = rest < INDEX_STRIDE ? rest : INDEX_STRIDE; n > 1; n -= n / 2)
		base += base[n / 2].first <= number ? n / 2 : 0;
	return base;
}

static const struct prefix_entry *
parent_of(const struct prefix_set *set, const struct prefix_entry *entry)
{
	return entry->parent == PREFIX_NO_PARENT ? NULL : &set->entries[entry->parent];
}

const struct prefix_entry *
prefix_table_find(const struct prefix_table *table, const struct addr *addr)
{
	return prefix_table_find_shorter(table, addr, UINT_MAX);
}

const struct prefix_entry *
prefix_table_find_shorter(const struct prefix_table *table, const struct addr *addr, unsigned len)
{
	if (addr->family == ADDR_NONE)
		return NULL;
	const struct prefix_set *set = addr->family == ADDR_V4 ? &table->v4 : &table->v6;
	unsigned __int128 number = number_of(addr);
	const struct prefix_entry *entry = set_search(set, number);
	while (entry && !(entry_contains(set, entry, number) && entry->len < len))
		entry = parent_of(set, entry);
	return entry;
}

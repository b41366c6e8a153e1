/*
 * The order of a prefix table's entries: a radix sort in place, from the key's highest byte down.
 * Runs in whichever thread loads; no memory but the stack.
 */
#include "acl/prefix_table.h"

#include <assert.h>

enum {
	ADDRESS_DIGITS = 16,
	ORDER_DIGITS = 4,
	SORT_DIGITS = ADDRESS_DIGITS + 1 + ORDER_DIGITS,
	SORT_SMALL = 24, /* so few are sorted by insertion */
};

/* The key is the address, the length, and the order, which no two entries have in common. */
static uint8_t
sort_digit(const struct prefix_entry *entry, unsigned digit)
{
	if (digit < ADDRESS_DIGITS)
		return (uint8_t)(entry->first >> 8 * (ADDRESS_DIGITS - 1 - digit));
	if (digit == ADDRESS_DIGITS)
		return entry->len;
	return (uint8_t)(entry->order >> 8 * (SORT_DIGITS - 1 - digit));
}

static bool
sorts_before(const struct prefix_entry *a, const struct prefix_entry *b)
{
	if (a->first != b->first)
		return a->first < b->first;
	return a->len != b->len ? a->len < b->len : a->order < b->order;
}

static void
insertion_sort(struct prefix_entry *entries, size_t count)
{
	for (size_t i = 1; i < count; i++) {
		struct prefix_entry entry = entries[i];
		size_t k = i;
		for (; k > 0 && sorts_before(&entry, &entries[k - 1]); k--)
			entries[k] = entries[k - 1];
		entries[k] = entry;
	}
}

/* Where the entries with each value of the digit have to begin, and behind them the end. False when
 * all have the same value: they are sorted by it. */
static bool
find_starts(
	const struct prefix_entry *entries, size_t count, unsigned digit, uint32_t starts[256 + 1])
{
	assert(digit < SORT_DIGITS);
	uint32_t counts[256] = {0};
	for (size_t i = 0; i < count; i++)
		counts[sort_digit(&entries[i], digit)]++;
	uint32_t sum = 0;
	for (unsigned value = 0; value < 256; value++) {
		starts[value] = sum;
		sum += counts[value];
	}
	starts[256] = sum;
	return counts[sort_digit(&entries[0], digit)] < count;
}

/* Swaps every entry into the stretch of its digit's value. */
static void
distribute(struct prefix_entry *entries, unsigned digit, const uint32_t starts[256 + 1])
{
	uint32_t next[256];
	for (unsigned value = 0; value < 256; value++)
		next[value] = starts[value];
	for (unsigned value = 0; value < 256; value++) {
		while (next[value] < starts[value + 1]) {
			struct prefix_entry *entry = &entries[next[value]];
			uint8_t home = sort_digit(entry, digit);
			struct prefix_entry other = entries[next[home]];
			entries[next[home]++] = *entry;
			if (home != value)
				*entry = other;
		}
	}
}

static void
sort_from(struct prefix_entry *entries, size_t count, unsigned digit)
{
	uint32_t starts[256 + 1];
	while (count > SORT_SMALL && !find_starts(entries, count, digit, starts))
		digit++;
	if (count <= SORT_SMALL) {
		insertion_sort(entries, count);
		return;
	}
	distribute(entries, digit, starts);
	for (unsigned value = 0; value < 256; value++)
		sort_from(entries + starts[value], starts[value + 1] - starts[value], digit + 1);
}

void
prefix_sort(struct prefix_entry *entries, size_t count)
{
	/* IPv4 has nothing in the upper bytes, and of IPv6 little is in use. */
	unsigned __int128 differs = 0;
	for (size_t i = 1; i < count; i++)
		differs |= entries[0].first ^ entries[i].first;
	unsigned digit = 0;
	while (digit < ADDRESS_DIGITS && !(differs >> 8 * (ADDRESS_DIGITS - 1 - digit)))
		digit++;
	sort_from(entries, count, digit);
}

/*
 * Random allowlists. See acl_data.h.
 */
#include "bench/acl_data.h"

#include "acl/mem.h"
#include "bench/random.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	OPERATORS = 20000, /* whose networks the prefixes are parts of, of either family */
	V4_OPERATOR_LEN = 16,
	V6_OPERATOR_LEN = 32,
	DENY_ONE_IN = 10,
};

struct share {
	uint8_t len;
	uint8_t percent;
};

static const struct share v4_lengths[] = {
	{32, 30}, {24, 40}, {28, 8}, {27, 5}, {23, 6}, {22, 7}, {20, 4}};
static const struct share v6_lengths[] = {{48, 45}, {64, 25}, {56, 15}, {128, 10}, {44, 5}};

static uint8_t
random_length(const struct share *shares, uint64_t *random)
{
	unsigned percent = (unsigned)(random_next(random) >> 32) % 100;
	while (percent >= shares->percent)
		percent -= shares++->percent;
	return shares->len;
}

/* The bits from `from` up to `to` at random. */
static void
random_bits(struct addr *addr, unsigned from, unsigned to, uint64_t *random)
{
	for (unsigned bit = from; bit < to; bit++) {
		uint8_t mask = (uint8_t)(0x80 >> bit % 8);
		if (random_next(random) >> 63)
			addr->bytes[bit / 8] |= mask;
		else
			addr->bytes[bit / 8] &= (uint8_t)~mask;
	}
}

/* The network of one of the operators: a number below OPERATORS always gives the same. */
static struct addr
operator_network(enum addr_family family, uint64_t number)
{
	uint64_t state = (number + 1) * 0x9e3779b97f4a7c15u;
	struct addr addr = {.family = family};
	random_next(&state);
	if (family == ADDR_V4) {
		random_bits(&addr, 0, V4_OPERATOR_LEN, &state);
		addr.bytes[0] = (uint8_t)(1 + addr.bytes[0] % 223);
	} else {
		random_bits(&addr, 3, V6_OPERATOR_LEN, &state);
		addr.bytes[0] = (uint8_t)(0x20 | (addr.bytes[0] & 0x0f)); /* 2000::/4 */
	}
	return addr;
}

static struct entry
random_entry(enum addr_family family, uint64_t *random)
{
	bool v4 = family == ADDR_V4;
	struct entry entry = {
		.prefix.addr = operator_network(family, (random_next(random) >> 32) % OPERATORS)};
	entry.prefix.len = random_length(v4 ? v4_lengths : v6_lengths, random);
	random_bits(&entry.prefix.addr, v4 ? V4_OPERATOR_LEN : V6_OPERATOR_LEN, entry.prefix.len,
		random);
	entry.deny = (random_next(random) >> 32) % DENY_ONE_IN == 0;
	return entry;
}

static int
longer_first(const void *a, const void *b)
{
	const struct entry *x = a;
	const struct entry *y = b;
	if (x->prefix.len != y->prefix.len)
		return x->prefix.len > y->prefix.len ? -1 : 1;
	return y->deny - x->deny; /* of the same prefix twice, too, the first decides */
}

struct entry *
entries_new(size_t count, uint64_t *random)
{
	struct entry *entries = mem_new(count, sizeof(*entries));
	for (size_t i = 0; i < count; i++)
		entries[i] = random_entry(i % 2 ? ADDR_V6 : ADDR_V4, random);
	qsort(entries, count, sizeof(*entries), longer_first);
	return entries;
}

struct addr
address_in(const struct prefix *prefix, uint64_t *random)
{
	struct addr addr = prefix->addr;
	random_bits(&addr, prefix->len, addr_bits(addr.family), random);
	return addr;
}

struct addr
address_near(const struct prefix *prefix, uint64_t *random)
{
	struct addr addr = prefix->addr;
	unsigned from = addr.family == ADDR_V4 ? V4_OPERATOR_LEN : V6_OPERATOR_LEN;
	random_bits(&addr, from, addr_bits(addr.family), random);
	return addr;
}

static int
write_entries(const char *path, const struct entry *entries, size_t count, bool actions)
{
	FILE *file = fopen(path, "w");
	if (!file)
		return -1;
	for (size_t i = 0; i < count; i++) {
		const struct prefix *prefix = &entries[i].prefix;
		bool v6 = prefix->addr.family == ADDR_V6;
		char text[ADDR_TEXT_MAX];
		fprintf(file, "%s%s%s/%u%s\n", v6 ? "[" : "", addr_format(&prefix->addr, text),
			v6 ? "]" : "", prefix->len,
			!actions          ? ""
			: entries[i].deny ? " REJECT"
					  : " OK");
	}
	bool failed = ferror(file) != 0;
	return fclose(file) != 0 || failed ? -1 : 0;
}

int
write_list(const char *path, const struct entry *entries, size_t count)
{
	return write_entries(path, entries, count, false);
}

int
write_table(const char *path, const struct entry *entries, size_t count)
{
	return write_entries(path, entries, count, true);
}

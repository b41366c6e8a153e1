/*
 * The networks that a database of tests/unit/data/mmdb was made of, looked up naively.
 */
#ifndef TESTS_UNIT_GEO_NETWORKS_H
#define TESTS_UNIT_GEO_NETWORKS_H

#include "acl/geo.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MMDB_DATA "tests/unit/data/mmdb/"

enum {
	NETWORKS_MAX = 400,
};

struct networks {
	struct prefix prefixes[NETWORKS_MAX];
	uint32_t values[NETWORKS_MAX];
	size_t count;
};

static inline void
networks_read(struct networks *networks, enum geo_kind kind)
{
	char path[128], line[256], network[128], text[64];
	snprintf(path, sizeof(path), MMDB_DATA "%s.networks", geo_kind_name(kind));
	FILE *file = fopen(path, "r");
	ck_assert_ptr_nonnull(file);
	networks->count = 0;
	while (fgets(line, sizeof(line), file)) {
		char why[GEO_WHY_MAX];
		if (line[0] == '#')
			continue;
		ck_assert_uint_lt(networks->count, NETWORKS_MAX);
		ck_assert_int_eq(sscanf(line, "%100s %50s", network, text), 2);
		struct prefix *prefix = &networks->prefixes[networks->count];
		ck_assert_int_eq(prefix_parse(prefix, network, why), 0);
		ck_assert_int_eq(geo_parse(kind, text, &networks->values[networks->count], why), 0);
		networks->count++;
	}
	fclose(file);
	ck_assert_uint_gt(networks->count, 100);
}

/* The longest, as the files are sorted. */
static inline uint32_t
networks_find(const struct networks *networks, const struct addr *addr)
{
	uint32_t value = GEO_NONE;
	for (size_t i = 0; i < networks->count; i++)
		if (prefix_contains(&networks->prefixes[i], addr))
			value = networks->values[i];
	return value;
}

/* One in or near one of them: its first bits, then anything. */
static inline struct addr
networks_near(const struct networks *networks, unsigned *seed)
{
	const struct prefix *prefix = &networks->prefixes[(size_t)rand_r(seed) % networks->count];
	unsigned bits = addr_bits(prefix->addr.family);
	unsigned keep = (unsigned)rand_r(seed) % (prefix->len + 4);
	struct addr addr = prefix->addr;
	for (unsigned i = keep; i < bits; i++)
		if (rand_r(seed) & 1)
			addr.bytes[i / 8] ^= (uint8_t)(0x80 >> i % 8);
	return addr;
}

/* Whether the database sends it to where IPv4 is: IPv6 below ::/96, Teredo, 6to4. */
static inline bool
networks_is_alias(const struct addr *addr)
{
	static const uint8_t zeros[12], teredo[4] = {0x20, 0x01}, six_to_four[2] = {0x20, 0x02};
	return addr->family == ADDR_V6 &&
	       (memcmp(addr->bytes, zeros, sizeof(zeros)) == 0 ||
		       memcmp(addr->bytes, teredo, sizeof(teredo)) == 0 ||
		       memcmp(addr->bytes, six_to_four, sizeof(six_to_four)) == 0);
}

#endif

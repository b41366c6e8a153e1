/*
 * A linear scan. See acl_scan.h.
 */
#include "bench/acl_scan.h"

#include "acl/mem.h"

#include <stdlib.h>

static unsigned __int128
number_of(const struct addr *addr)
{
	unsigned __int128 number = 0;
	for (unsigned i = 0; i < addr_bits(addr->family) / 8; i++)
		number = number << 8 | addr->bytes[i];
	return number;
}

void
scan_init(struct scan *scan, const struct entry *entries, size_t count)
{
	*scan = (struct scan){
		.v4 = mem_new(count, sizeof(*scan->v4)), .v6 = mem_new(count, sizeof(*scan->v6))};
	for (size_t i = 0; i < count; i++) {
		const struct prefix *prefix = &entries[i].prefix;
		bool v4 = prefix->addr.family == ADDR_V4;
		unsigned host_bits = addr_bits(prefix->addr.family) - prefix->len;
		*(v4 ? &scan->v4[scan->v4_count++] : &scan->v6[scan->v6_count++]) =
			(struct scan_entry){
				.first = number_of(&prefix->addr),
				.mask = ~(((unsigned __int128)1 << host_bits) - 1),
				.deny = entries[i].deny,
			};
	}
}

void
scan_fini(struct scan *scan)
{
	free(scan->v4);
	free(scan->v6);
}

const struct scan_entry *
scan_find(const struct scan *scan, const struct addr *addr)
{
	bool v4 = addr->family == ADDR_V4;
	const struct scan_entry *entries = v4 ? scan->v4 : scan->v6;
	size_t count = v4 ? scan->v4_count : scan->v6_count;
	unsigned __int128 number = number_of(addr);
	for (size_t i = 0; i < count; i++)
		if ((number & entries[i].mask) == entries[i].first)
			return &entries[i];
	return NULL;
}

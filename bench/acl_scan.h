/*
 * The naive way: a look at one prefix after another. One thread.
 */
#ifndef BENCH_ACL_SCAN_H
#define BENCH_ACL_SCAN_H

#include "bench/acl_data.h"

struct scan_entry {
	unsigned __int128 first;
	unsigned __int128 mask;
	bool deny;
};

/* The prefixes of each family in their order, so that no other is looked at. */
struct scan {
	struct scan_entry *v4;
	struct scan_entry *v6;
	size_t v4_count;
	size_t v6_count;
};

void scan_init(struct scan *scan, const struct entry *entries, size_t count);
void scan_fini(struct scan *scan);

/* The first that contains addr, or NULL. */
const struct scan_entry *scan_find(const struct scan *scan, const struct addr *addr);

#endif

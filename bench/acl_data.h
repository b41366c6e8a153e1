/*
 * What the acl benchmark looks up in what: random prefixes as an allowlist has them, addresses in
 * them and beside them, and the same as files. One thread; the caller owns what it is given.
 */
#ifndef BENCH_ACL_DATA_H
#define BENCH_ACL_DATA_H

#include "acl/addr.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct entry {
	struct prefix prefix;
	bool deny; /* one in ten */
};

/* Half IPv4, half IPv6, in the order in which somebody might have written them: none. A more
 * specific prefix stands before a wider one, so that Postfix would decide alike. Never NULL. */
struct entry *entries_new(size_t count, uint64_t *random);

/* An address in the prefix, any of them. */
struct addr address_in(const struct prefix *prefix, uint64_t *random);

/* An address that belongs to the same network operator, but perhaps to no prefix. */
struct addr address_near(const struct prefix *prefix, uint64_t *random);

/* A list for file:, in which all are allowed, and a table for cidr:. 0, or -1 with errno. */
int write_list(const char *path, const struct entry *entries, size_t count);
int write_table(const char *path, const struct entry *entries, size_t count);

#endif

/*
 * The same prefixes as a MaxMind DB (format 2.0, 32-bit records), to be looked up in with
 * libmaxminddb. One thread.
 */
#ifndef BENCH_ACL_MMDB_H
#define BENCH_ACL_MMDB_H

#include "bench/acl_data.h"

/* Writes the database. The entry for an address is the longest prefix's; of the same prefix twice,
 * deny. entries: longer ones first, and deny before allow. 0, or -1 with errno. */
int mmdb_write(const char *path, const struct entry *entries, size_t count);

#endif

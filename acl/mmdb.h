/*
 * Turns an MMDB database (MaxMind DB file format 2.0) into the table of geo.h by libmaxminddb.
 *
 * Broken files crash some versions of that library (Debian 12's 1.7.1 is one), so this is for a
 * child that may crash; see trial.h. Out of memory aborts.
 */
#ifndef ACL_MMDB_H
#define ACL_MMDB_H

#include "acl/geo.h"

/* What the child writes: this, the nodes, the values; each as it is in memory. */
struct mmdb_header {
	uint32_t node_count;
	uint32_t value_count;
	uint32_t roots[2];
};

/* Reads path whole (2 GB at most, so that all indexes are below GEO_LEAF), every record that an
 * address leads to, and writes the table to out. Returns 0, or -1 with why. */
int mmdb_write(enum geo_kind kind, const char *path, int out, char why[GEO_WHY_MAX]);

/* Of the library. */
const char *mmdb_version(void);

#endif

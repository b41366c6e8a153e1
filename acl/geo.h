/*
 * Where in the world an address is: its country, or the number of the network (autonomous system)
 * that announces it, as an MMDB database tells.
 *
 * A database is read once, in a child process that is thrown away (trial.h), and from then on is a
 * plain table in memory: a binary tree of address bits. A process that serves never opens the file,
 * so that neither a broken one nor one that is overwritten can hurt it.
 *
 * One thread loads; then any number may ask without a lock. The table owns its memory: 8 bytes a
 * node of the database.
 */
#ifndef ACL_GEO_H
#define ACL_GEO_H

#include "acl/addr.h"
#include "acl/sources.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What a database tells, in the order in which rules by it decide. */
enum geo_kind {
	GEO_ASN,     /* a value is the number, 1 to 4294967295 */
	GEO_COUNTRY, /* a value is the two capitals of the ISO 3166 code: 'J' << 8 | 'P' */
};

#define GEO_KINDS 2

enum {
	GEO_NONE = 0, /* the value of an address that the database says nothing of */
	GEO_TEXT_MAX = 19,
	GEO_WHY_MAX = 256,
};

/* A link leads to a node by its index, or with this bit to a value by its index. */
#define GEO_LEAF UINT32_C(0x80000000)

struct geo_node {
	uint32_t link[2]; /* for a bit that is 0, and 1 */
};

/* Built by geo_load; all links are valid, and no way is longer than an address has bits. */
struct geo {
	enum geo_kind kind;
	char *path;        /* of the database */
	uint32_t roots[2]; /* links: for IPv4 and for IPv6 */
	struct geo_node *nodes;
	size_t node_count;
	uint32_t *values; /* [0] is GEO_NONE */
	size_t value_count;
};

/* Reads the database at path, which is noted in sources (NULL: nowhere). Takes as long as a child
 * process needs, a minute at most. Returns NULL with why, in which "can't use PATH: " goes before,
 * on any error: no such file, no such database, a broken one. For any thread. */
struct geo *geo_load(
	enum geo_kind kind, const char *path, struct sources *sources, char why[GEO_WHY_MAX]);
void geo_free(struct geo *geo); /* NULL is fine */

uint32_t geo_find(const struct geo *geo, const struct addr *addr);

/* Whether any address has that value. */
bool geo_has(const struct geo *geo, uint32_t value);

/* Calls visit for the values within a prefix, GEO_NONE left out, each with the first address that
 * has it, in the order of the addresses; one value may come many times. Takes one from *steps for
 * each node on the way. Returns false when there is none left: then it ended early. */
bool geo_visit(const struct geo *geo, const struct prefix *within,
	void (*visit)(void *context, const struct addr *first, uint32_t value), void *context,
	size_t *steps);

/* The word before the colon of a rule: "country" or "asn". */
const char *geo_kind_name(enum geo_kind kind);

/* Parses what stands behind that colon. Returns 0, or -1 with why saying what to write. */
int geo_parse(enum geo_kind kind, const char *text, uint32_t *value, char why[GEO_WHY_MAX]);

/* "country:JP" or "asn:64500"; returns buf. */
const char *geo_format(enum geo_kind kind, uint32_t value, char buf[GEO_TEXT_MAX]);

#endif

/*
 * Doubts about rules by country or network number: one that names what the database has nowhere,
 * and a deny that can't hold because a prefix, which goes before it, lets in. Pure; whichever
 * thread seals the acl.
 */
#ifndef ACL_GEO_DOUBTS_H
#define ACL_GEO_DOUBTS_H

#include "acl/geo.h"
#include "acl/geo_rules.h"
#include "acl/prefix_table.h"
#include "acl/report.h"

/* Table and rules are sealed; files are the names that their rules have the numbers of. One warning
 * a rule and doubt. The work is bounded: of prefixes that let in too much to look at, a deny may
 * stay without its warning. */
void geo_doubts_warn(const struct prefix_table *table, const struct geo_rules *rules,
	const struct geo *geo, char *const *files, struct report *report);

#endif

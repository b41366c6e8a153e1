/*
 * Where a list decides otherwise here than in Postfix: there the first entry that contains an
 * address decides, here the longest prefix. Whichever thread loads; nothing is kept.
 */
#ifndef ACL_FIRST_MATCH_H
#define ACL_FIRST_MATCH_H

#include "acl/prefix_table.h"
#include "acl/report.h"

/* Looks at one list: what was added to the table, in its order, since the mark. If there is an
 * address about which the first match says something else than the longest prefix, that is one
 * warning in the report: it stands where the rule stands that decides here, names the one that
 * decides in Postfix, and counts the other places like it. Then the list's dunnos are dropped.
 * files: names by the entries' numbers. Sorts in place: n log n time, no memory. */
void first_match_check(struct prefix_table *table, struct prefix_mark mark, char *const *files,
	struct report *report);

#endif

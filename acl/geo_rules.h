/*
 * The rules of one acl by country, or by network number: filled, sealed, then only read. The set
 * owns its array. One thread fills and seals; then any number may look up.
 */
#ifndef ACL_GEO_RULES_H
#define ACL_GEO_RULES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct geo_rule {
	uint32_t value; /* as geo.h has it */
	uint32_t file;  /* where it stands: the caller's number of the file ... */
	uint32_t line;  /* ... and the line */
	uint32_t order; /* of its coming */
	bool allow;
};

struct geo_rules {
	struct geo_rule *rules;
	size_t count;
	size_t capacity;
	bool allows; /* one of them at least; set by the seal */
};

void geo_rules_fini(struct geo_rules *rules);

void geo_rules_add(
	struct geo_rules *rules, uint32_t value, bool allow, uint32_t file, uint32_t line);

/* Of rules for the same value one stays: a deny if there is one, else the first that was added. */
void geo_rules_seal(struct geo_rules *rules);

/* After the seal; NULL when there is none. */
const struct geo_rule *geo_rules_find(const struct geo_rules *rules, uint32_t value);

#endif

/*
 * Looks at what the allowed prefixes contain, and warns. See geo_doubts.h.
 */
#include "acl/geo_doubts.h"

#include "acl/mem.h"

#include <stdio.h>
#include <stdlib.h>

/* Nodes of a database to look at for one acl: some ten milliseconds. */
static const size_t steps_max = 1 << 20;

/* The allowed prefixes that overrule a deny. */
struct overruled {
	const struct prefix_entry *first;
	const struct prefix_entry *last;
	enum addr_family family; /* of the first */
	size_t count;
};

struct search {
	const struct prefix_table *table;
	const struct geo_rules *rules;
	const struct geo *geo;
	struct overruled *overruled; /* by the rule's index */
	const struct prefix_entry *entry;
	size_t steps;
};

/* A longer prefix inside may say otherwise: what counts is who decides about the address. */
static void
on_value(void *context, const struct addr *first, uint32_t value)
{
	struct search *search = context;
	const struct geo_rule *rule = geo_rules_find(search->rules, value);
	if (!rule || rule->allow || prefix_table_find(search->table, first) != search->entry)
		return;
	struct overruled *overruled = &search->overruled[rule - search->rules->rules];
	if (overruled->last == search->entry)
		return;
	if (!overruled->count++) {
		overruled->first = search->entry;
		overruled->family = first->family;
	}
	overruled->last = search->entry;
}

static bool
search_set(struct search *search, const struct prefix_set *set)
{
	for (size_t i = 0; i < set->count; i++) {
		if (!set->entries[i].allow)
			continue;
		search->entry = &set->entries[i];
		struct prefix prefix = prefix_entry_prefix(search->entry, set->family);
		if (!geo_visit(search->geo, &prefix, on_value, search, &search->steps))
			return false;
	}
	return true;
}

static void
warn_overruled(const struct search *search, const struct geo_rule *rule, bool whole,
	char *const *files, struct report *report)
{
	const struct overruled *overruled = &search->overruled[rule - search->rules->rules];
	char prefix_text[PREFIX_TEXT_MAX], rule_text[GEO_TEXT_MAX], others[64] = "";
	if (!overruled->count)
		return;
	struct prefix prefix = prefix_entry_prefix(overruled->first, overruled->family);
	if (overruled->count > 1)
		snprintf(others, sizeof(others), ", nor for those in %s%zu more like it",
			whole ? "" : "at least ", overruled->count - 1);
	report_warning(report, files[rule->file], rule->line,
		"deny %s does not hold for its addresses in %s, which %s:%u allows%s: a prefix "
		"goes before it; deny them by prefix, if they are not meant",
		geo_format(search->geo->kind, rule->value, rule_text),
		prefix_format(&prefix, prefix_text), files[overruled->first->file],
		overruled->first->line, others);
}

static bool
has_deny(const struct geo_rules *rules)
{
	for (size_t i = 0; i < rules->count; i++)
		if (!rules->rules[i].allow)
			return true;
	return false;
}

static void
search_overruled(const struct prefix_table *table, const struct geo_rules *rules,
	const struct geo *geo, char *const *files, struct report *report)
{
	struct search search = {
		.table = table,
		.rules = rules,
		.geo = geo,
		.overruled = mem_new(rules->count, sizeof(struct overruled)),
		.steps = steps_max,
	};
	bool whole = search_set(&search, &table->v4) && search_set(&search, &table->v6);
	for (size_t i = 0; i < rules->count; i++)
		warn_overruled(&search, &rules->rules[i], whole, files, report);
	free(search.overruled);
}

static const char *
hint(const struct geo *geo, uint32_t value)
{
	const uint32_t uk = 'U' << 8 | 'K';
	if (geo->kind == GEO_COUNTRY)
		return value == uk ? "the United Kingdom is country:GB"
				   : "look the code up in ISO 3166";
	return "is the number right?";
}

void
geo_doubts_warn(const struct prefix_table *table, const struct geo_rules *rules,
	const struct geo *geo, char *const *files, struct report *report)
{
	char text[GEO_TEXT_MAX];
	for (size_t i = 0; i < rules->count; i++) {
		const struct geo_rule *rule = &rules->rules[i];
		if (!geo_has(geo, rule->value))
			report_warning(report, files[rule->file], rule->line,
				"%s holds for nobody: no address has that in %.1000s; %s",
				geo_format(geo->kind, rule->value, text), geo->path,
				hint(geo, rule->value));
	}
	if (has_deny(rules))
		search_overruled(table, rules, geo, files, report);
}

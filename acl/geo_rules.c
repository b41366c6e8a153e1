/*
 * Rules by value, sorted. See geo_rules.h for threads and memory.
 */
#include "acl/geo_rules.h"

#include "acl/mem.h"

#include <stdlib.h>

void
geo_rules_fini(struct geo_rules *rules)
{
	free(rules->rules);
	*rules = (struct geo_rules){.rules = NULL};
}

void
geo_rules_add(struct geo_rules *rules, uint32_t value, bool allow, uint32_t file, uint32_t line)
{
	if (rules->count == rules->capacity)
		rules->rules = mem_grow(rules->rules, &rules->capacity, sizeof(*rules->rules));
	rules->rules[rules->count] = (struct geo_rule){
		.value = value,
		.file = file,
		.line = line,
		.order = (uint32_t)rules->count,
		.allow = allow,
	};
	rules->count++;
}

static int
compare_numbers(uint32_t a, uint32_t b)
{
	return (a > b) - (a < b);
}

/* By value; of one value the denies first. */
static int
compare_rules(const void *left, const void *right)
{
	const struct geo_rule *a = left;
	const struct geo_rule *b = right;
	int order = compare_numbers(a->value, b->value);
	if (!order)
		order = compare_numbers(a->allow, b->allow);
	return order ? order : compare_numbers(a->order, b->order);
}

void
geo_rules_seal(struct geo_rules *rules)
{
	size_t kept = 0;
	if (!rules->count)
		return;
	qsort(rules->rules, rules->count, sizeof(*rules->rules), compare_rules);
	for (size_t i = 0; i < rules->count; i++) {
		rules->allows |= rules->rules[i].allow;
		if (!kept || rules->rules[kept - 1].value != rules->rules[i].value)
			rules->rules[kept++] = rules->rules[i];
	}
	rules->count = kept;
}

const struct geo_rule *
geo_rules_find(const struct geo_rules *rules, uint32_t value)
{
	size_t low = 0, high = rules->count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (rules->rules[middle].value < value)
			low = middle + 1;
		else
			high = middle;
	}
	return low < rules->count && rules->rules[low].value == value ? &rules->rules[low] : NULL;
}

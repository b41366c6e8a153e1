/*
 * Doubts about rules by country of which there is too much to look at: the search ends early, and
 * says so where it says anything. Those that it can look at are in test_acl_geo.c.
 */
#include "acl/geo_doubts.h"
#include "tests/unit/unit.h"

#include <stdio.h>
#include <string.h>

#define JP ((uint32_t)'J' << 8 | 'P')

enum {
	DEPTH = 128,
	V4_NODE = DEPTH - 32, /* from here it is as far as an IPv4 address has bits */
};

/* Every address is in JP, and each by a leaf of its own. */
static struct geo_node nodes[DEPTH];
static uint32_t values[] = {GEO_NONE, JP};
static char database[] = "world.mmdb";
static const struct geo world = {
	.kind = GEO_COUNTRY,
	.path = database,
	.roots = {V4_NODE, 0},
	.nodes = nodes,
	.node_count = DEPTH,
	.values = values,
	.value_count = 2,
};

static const struct {
	const char *allow; /* apart by blanks, each in a line of its own */
	const char *first; /* of them, and where; NULL: nothing is said */
	const char *others;
} rows[] = {
	{"192.0.2.1", "192.0.2.1/32, which L:1 allows", ""},
	{"192.0.2.0/24 2001:db8::1", "192.0.2.0/24, which L:1 allows",
		", nor for those in 1 more like it"},
	{"10.0.0.0/8", "10.0.0.0/8, which L:1 allows", ""},
	{"2001:db8::/32", "2001:db8::/32, which L:1 allows", ""},
	{"2001:db8::/32 192.0.2.1", "192.0.2.1/32, which L:2 allows",
		", nor for those in at least 1 more like it"},
	{"10.0.0.0/8 2001:db8::1 192.0.2.1 9.9.9.0/24", "9.9.9.0/24, which L:4 allows",
		", nor for those in at least 1 more like it"},
};

static void
allow(struct prefix_table *table, const char *text, unsigned line)
{
	struct prefix prefix;
	char why[PREFIX_WHY_MAX];
	ck_assert_msg(prefix_parse(&prefix, text, why) == 0, "%s: %s", text, why);
	prefix_table_add(table, &prefix, true, 0, line);
}

static void
fill_table(struct prefix_table *table, const char *texts)
{
	char *copy = strdup(texts), *rest = NULL;
	unsigned line = 1;
	prefix_table_init(table);
	for (char *text = strtok_r(copy, " ", &rest); text; text = strtok_r(NULL, " ", &rest))
		allow(table, text, line++);
	prefix_table_seal(table);
	free(copy);
}

START_TEST(as_far_as_it_looked)
{
	static char *files[] = {"L"};
	char expected[512];
	struct prefix_table table;
	struct geo_rules rules = {.count = 0};
	struct report report;
	for (uint32_t i = 0; i < DEPTH; i++)
		nodes[i].link[0] = nodes[i].link[1] = i + 1 < DEPTH ? i + 1 : GEO_LEAF | 1;
	report_init(&report);
	fill_table(&table, rows[_i].allow);
	geo_rules_add(&rules, JP, false, 0, 99);
	geo_rules_seal(&rules);
	geo_doubts_warn(&table, &rules, &world, files, &report);
	snprintf(expected, sizeof(expected),
		"L:99: deny country:JP does not hold for its addresses in %s%s: a prefix goes "
		"before it; deny them by prefix, if they are not meant",
		rows[_i].first, rows[_i].others);
	ck_assert_uint_eq(report.count, 1);
	ck_assert_str_eq(report.entries[0].text, expected);
	ck_assert_uint_eq(report.errors, 0);
	geo_rules_fini(&rules);
	prefix_table_fini(&table);
	report_fini(&report);
}
END_TEST

static void
fill(TCase *cases)
{
	tcase_add_loop_test(cases, as_far_as_it_looked, 0, (int)(sizeof(rows) / sizeof(rows[0])));
}

UNIT_MAIN("geo_doubts", fill)

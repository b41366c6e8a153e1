/*
 * Verdicts and doubts of random rule sets with prefixes, network numbers and countries, against a
 * naive reading of the rules. The databases themselves are held to what they were made of in
 * test_geo.c.
 */
#include "acl/acl.h"
#include "tests/unit/geo_networks.h"
#include "tests/unit/unit.h"

#include <stdio.h>
#include <string.h>

enum {
	SETS = 3000,
	ADDRESSES = 40, /* for each set */
	RULES_MAX = 24,
	FIRSTS_MAX = 10000,
};

static struct networks networks[GEO_KINDS];
static struct geo *geo[GEO_KINDS];
static struct addr firsts[FIRSTS_MAX]; /* of every run of addresses with one value, of any kind */
static size_t first_count;

static void
on_value(void *context, const struct addr *first, uint32_t value)
{
	(void)context;
	(void)value;
	ck_assert_uint_lt(first_count, FIRSTS_MAX);
	if (!networks_is_alias(first))
		firsts[first_count++] = *first;
}

static void
load_all(void)
{
	for (enum geo_kind kind = GEO_ASN; kind < GEO_KINDS; kind++) {
		char path[128], why[GEO_WHY_MAX];
		snprintf(path, sizeof(path), MMDB_DATA "%s.mmdb", geo_kind_name(kind));
		networks_read(&networks[kind], kind);
		geo[kind] = geo_load(kind, path, NULL, why);
		ck_assert_ptr_nonnull(geo[kind]);
		struct prefix all[] = {{.addr.family = ADDR_V4}, {.addr.family = ADDR_V6}};
		size_t steps = 100000;
		ck_assert(geo_visit(geo[kind], &all[0], on_value, NULL, &steps));
		ck_assert(geo_visit(geo[kind], &all[1], on_value, NULL, &steps));
	}
}

static void
free_all(void)
{
	for (enum geo_kind kind = GEO_ASN; kind < GEO_KINDS; kind++)
		geo_free(geo[kind]);
}

struct set {
	struct acl_rule rules[RULES_MAX];
	size_t count;
};

static struct prefix
random_prefix(unsigned *seed)
{
	struct prefix prefix = {
		.addr = networks_near(&networks[(size_t)rand_r(seed) % GEO_KINDS], seed)};
	unsigned bits = addr_bits(prefix.addr.family);
	prefix.len = (uint8_t)((unsigned)rand_r(seed) % (bits - 8) + 8);
	for (unsigned i = prefix.len; i < bits; i++)
		prefix.addr.bytes[i / 8] &= (uint8_t) ~(0x80 >> i % 8);
	return prefix;
}

static struct acl_rule
random_rule(unsigned *seed, unsigned line)
{
	struct acl_rule rule = {
		.action = rand_r(seed) & 1 ? ACL_ALLOW : ACL_DENY,
		.kind = (enum rule_kind)(rand_r(seed) % 3),
		.file = "conf",
		.line = line,
	};
	if (rule.kind == RULE_PREFIX) {
		rule.prefix = random_prefix(seed);
		return rule;
	}
	const struct networks *known = &networks[rule.kind == RULE_ASN ? GEO_ASN : GEO_COUNTRY];
	rule.value = known->values[(size_t)rand_r(seed) % known->count];
	return rule;
}

/* How specific a rule is for an address: -1 when it does not hold for it. */
static int
rank(const struct acl_rule *rule, const struct addr *addr)
{
	switch (rule->kind) {
	case RULE_PREFIX:
		return prefix_contains(&rule->prefix, addr) ? 10 + rule->prefix.len : -1;
	case RULE_ASN:
		return geo_find(geo[GEO_ASN], addr) == rule->value ? 2 : -1;
	case RULE_COUNTRY:
		return geo_find(geo[GEO_COUNTRY], addr) == rule->value ? 1 : -1;
	}
	return -1;
}

static const struct acl_rule *
oracle(const struct set *set, const struct addr *addr)
{
	const struct acl_rule *best = NULL;
	int best_rank = -1;
	for (size_t i = 0; i < set->count; i++) {
		const struct acl_rule *rule = &set->rules[i];
		int own = rank(rule, addr);
		if (own < 0 || own < best_rank ||
			(own == best_rank &&
				(best->action == ACL_DENY || rule->action == ACL_ALLOW)))
			continue;
		best = rule;
		best_rank = own;
	}
	return best;
}

static void
expect_verdict(const struct set *set, const struct acl *acl, bool open, const struct addr *addr)
{
	const struct acl_rule *expected = oracle(set, addr);
	struct verdict verdict = acl_decide(acl, addr);
	char text[128], where[64], rule[RULE_TEXT_MAX];
	ck_assert(verdict.matched == (expected != NULL));
	ck_assert(verdict.allowed == (expected ? expected->action == ACL_ALLOW : open));
	if (!expected)
		return;
	ck_assert(verdict.rule.kind == expected->kind);
	ck_assert_uint_eq(verdict.rule.line, expected->line);
	snprintf(where, sizeof(where), "conf:%u %s %s", expected->line,
		expected->action == ACL_ALLOW ? "allow" : "deny", acl_rule_format(expected, rule));
	ck_assert_str_eq(verdict_format(&verdict, text, sizeof(text)), where);
}

static struct acl *
make_set(struct set *set, bool open, unsigned *seed, struct report *report)
{
	struct acl *acl = acl_new("test", "conf", 1000, open);
	set->count = (size_t)rand_r(seed) % (RULES_MAX - 1) + 1;
	for (size_t i = 0; i < set->count; i++) {
		set->rules[i] = random_rule(seed, (unsigned)i + 1);
		acl_add(acl, &set->rules[i]);
	}
	for (size_t i = 0; i < GEO_KINDS; i++)
		acl_use_geo(acl, geo[i]);
	acl_seal(acl, report);
	return acl;
}

START_TEST(the_most_specific_rule_decides)
{
	unsigned seed = 3;
	load_all();
	for (unsigned i = 0; i < SETS; i++) {
		struct set set;
		struct report report;
		bool open = rand_r(&seed) & 1;
		report_init(&report);
		struct acl *acl = make_set(&set, open, &seed, &report);
		for (unsigned k = 0; k < ADDRESSES; k++) {
			struct addr addr = networks_near(&networks[k % GEO_KINDS], &seed);
			expect_verdict(&set, acl, open, &addr);
			size_t any = (size_t)rand_r(&seed) % set.count;
			if (set.rules[any].kind == RULE_PREFIX)
				expect_verdict(&set, acl, open, &set.rules[any].prefix.addr);
		}
		acl_free(acl);
		report_fini(&report);
	}
	free_all();
}
END_TEST

/* Whether a prefix lets an address in that the rule would deny. */
static bool
overrules_at(const struct acl *acl, const struct acl_rule *rule, const struct addr *addr)
{
	struct verdict verdict = acl_decide(acl, addr);
	return rank(rule, addr) > 0 && verdict.matched && verdict.rule.kind == RULE_PREFIX &&
	       verdict.allowed;
}

static bool
is_overruled(const struct set *set, const struct acl *acl, const struct acl_rule *rule)
{
	for (size_t i = 0; i < set->count; i++)
		if (set->rules[i].kind == RULE_PREFIX &&
			overrules_at(acl, rule, &set->rules[i].prefix.addr))
			return true;
	for (size_t i = 0; i < first_count; i++)
		if (overrules_at(acl, rule, &firsts[i]))
			return true;
	return false;
}

static bool
is_warned(const struct report *report, unsigned line)
{
	char start[32];
	int len = snprintf(start, sizeof(start), "conf:%u: deny ", line);
	for (size_t i = 0; i < report->count; i++)
		if (strncmp(report->entries[i].text, start, (size_t)len) == 0)
			return true;
	return false;
}

/* Of several rules for one value the first deny stays: it is the one to be warned of. */
static bool
stays(const struct set *set, const struct acl_rule *rule)
{
	for (const struct acl_rule *other = set->rules; other < rule; other++)
		if (other->kind == rule->kind && other->value == rule->value &&
			other->action == ACL_DENY)
			return false;
	return rule->action == ACL_DENY && rule->kind != RULE_PREFIX;
}

START_TEST(a_deny_that_can_not_bite_is_told)
{
	unsigned seed = 5, warned = 0, silent = 0;
	load_all();
	for (unsigned i = 0; i < SETS / 5; i++) {
		struct set set;
		struct report report;
		report_init(&report);
		struct acl *acl = make_set(&set, true, &seed, &report);
		for (size_t k = 0; k < set.count; k++) {
			const struct acl_rule *rule = &set.rules[k];
			bool expected = stays(&set, rule) && is_overruled(&set, acl, rule);
			ck_assert_msg(is_warned(&report, rule->line) == expected,
				"set %u, line %u: warned %d", i, rule->line, !expected);
			warned += expected;
			silent += !expected;
		}
		acl_free(acl);
		report_fini(&report);
	}
	ck_assert_uint_gt(warned, 100);
	ck_assert_uint_gt(silent, 100);
	free_all();
}
END_TEST

static void
fill(TCase *cases)
{
	tcase_add_test(cases, the_most_specific_rule_decides);
	tcase_add_test(cases, a_deny_that_can_not_bite_is_told);
}

UNIT_MAIN("acl_geo", fill)

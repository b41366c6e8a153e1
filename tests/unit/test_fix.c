/*
 * What is told to be the way into an acl, and that it leads in: each fix is carried out as it is
 * written, on rules of a table and on random ones.
 */
#include "acl/fix.h"

#include "tests/unit/unit.h"

#include <stdio.h>
#include <string.h>

#define COUNTRY_SOURCE "45.1.2.3"

enum {
	ACL_LINE = 1,
	RULES_MAX = 8,
	SETS = 20000,
};

/* An item stands on the line of its place: ACL_LINE + 1 and so on. */
struct rules {
	bool open;
	const char *items[RULES_MAX]; /* "allow 203.0.113.0/24" */
};

static struct acl *
acl_of(const struct rules *rules)
{
	struct report report;
	report_init(&report);
	struct acl *acl = acl_new("test", "conf", ACL_LINE, rules->open);
	for (unsigned i = 0; i < RULES_MAX; i++) {
		const char *item = rules->items[i];
		if (!item)
			continue;
		enum acl_action action = *item == 'a' ? ACL_ALLOW : ACL_DENY;
		acl_add_item(acl, action, strchr(item, ' ') + 1, "conf", ACL_LINE + 1 + i, &report);
	}
	acl_seal(acl, &report);
	report_fini(&report);
	return acl;
}

static struct addr
addr_of(const char *text)
{
	struct addr addr;
	ck_assert_int_eq(addr_parse(&addr, text), 0);
	return addr;
}

/* Carries out one part of a fix: takes the deny out of the rules, or puts the allow into `added`.
 */
static void
carry_out(struct rules *rules, char *part, char added[RULE_TEXT_MAX + sizeof("allow ")])
{
	char text[RULE_TEXT_MAX], canonical[RULE_TEXT_MAX];
	unsigned line;
	if (sscanf(part, "conf:%u add %49s to allow", &line, text) == 2) {
		snprintf(added, RULE_TEXT_MAX + sizeof("allow "), "allow %s", text);
		return;
	}
	ck_assert_int_eq(sscanf(part, "conf:%u remove deny %49s", &line, text), 2);
	const char **item = &rules->items[line - ACL_LINE - 1];
	struct prefix prefix;
	char why[PREFIX_WHY_MAX];
	ck_assert_int_eq(strncmp(*item, "deny ", 5), 0);
	ck_assert_int_eq(prefix_parse(&prefix, *item + 5, why), 0);
	ck_assert_str_eq(prefix_format(&prefix, canonical), text);
	*item = NULL;
}

/* The same rule may stand there more than once: then its fix is told once more. */
static void
expect_way_in(struct rules rules, const struct addr *source)
{
	char added[RULE_TEXT_MAX + sizeof("allow ")] = "";
	for (unsigned round = 0;; round++) {
		char fix[512];
		ck_assert_uint_le(round, RULES_MAX);
		struct acl *acl = acl_of(&rules);
		bool denied = fix_format(acl, source, fix, sizeof(fix));
		ck_assert(denied == !acl_decide(acl, source).allowed);
		acl_free(acl);
		if (!denied)
			return;
		char *rest = NULL;
		for (char *part = strtok_r(fix, ";", &rest); part;
			part = strtok_r(NULL, ";", &rest))
			carry_out(&rules, part + (*part == ' '), added);
		for (unsigned i = 0; i < RULES_MAX && *added; i++) {
			if (rules.items[i])
				continue;
			rules.items[i] = added;
			break;
		}
	}
}

static const struct {
	struct rules rules;
	const char *source;
	const char *fix; /* NULL: it is let in */
} rows[] = {
	{{.items = {"allow 192.0.2.0/24"}}, "203.0.113.7", "conf:2 add 203.0.113.7 to allow"},
	{{.items = {"deny 198.51.100.0/24", "allow 192.0.2.0/24", "allow 192.0.3.0/24"}},
		"203.0.113.7", "conf:3 add 203.0.113.7 to allow"},
	{{.items = {"allow 203.0.113.0/24"}}, "203.0.113.7", NULL},
	{{.items = {"allow 192.0.2.0/24"}}, "2001:db8:1:2:3:4:5:6",
		"conf:2 add 2001:db8:1:2::/64 to allow"},
	/* An allow for the source alone outdoes what is wider. */
	{{.items = {"allow 192.0.2.0/24", "deny 203.0.113.0/24"}}, "203.0.113.7",
		"conf:2 add 203.0.113.7 to allow"},
	{{.items = {"allow 192.0.2.0/24", "deny 203.0.113.6/31"}}, "203.0.113.7",
		"conf:2 add 203.0.113.7 to allow"},
	{{.items = {"allow 2001:db8::/32", "deny 2001:db8:1:2::/63"}}, "2001:db8:1:2::5",
		"conf:2 add 2001:db8:1:2::/64 to allow"},
	/* What is as narrow has to go. */
	{{.items = {"allow 203.0.113.0/24", "deny 203.0.113.7"}}, "203.0.113.7",
		"conf:3 remove deny 203.0.113.7/32"},
	{{.items = {"allow 203.0.113.7", "deny 203.0.113.7"}}, "203.0.113.7",
		"conf:3 remove deny 203.0.113.7/32; conf:2 add 203.0.113.7 to allow"},
	{{.items = {"allow 192.0.2.1", "deny 203.0.113.7"}}, "203.0.113.7",
		"conf:3 remove deny 203.0.113.7/32; conf:2 add 203.0.113.7 to allow"},
	{{.items = {"allow 192.0.2.1", "deny 203.0.113.7", "deny 203.0.113.0/24"}}, "203.0.113.7",
		"conf:3 remove deny 203.0.113.7/32; conf:2 add 203.0.113.7 to allow"},
	{{.items = {"allow 2001:db8::/32", "deny 2001:db8:1:2::/64"}}, "2001:db8:1:2::5",
		"conf:3 remove deny 2001:db8:1:2::/64"},
	{{.items = {"allow 192.0.2.1", "deny 2001:db8:1:2::/64", "deny 2001:db8:1:2::5"}},
		"2001:db8:1:2::5",
		"conf:4 remove deny 2001:db8:1:2::5/128; conf:3 remove deny 2001:db8:1:2::/64; "
		"conf:2 add 2001:db8:1:2::/64 to allow"},
	{{.items = {"allow 2001:db8:1:2::/96", "deny 2001:db8:1:2::/64", "deny 2001:db8:1:2::5"}},
		"2001:db8:1:2::5", "conf:4 remove deny 2001:db8:1:2::5/128"},
	/* Without an allow list there is only the block to name. */
	{{.open = true, .items = {"deny 203.0.113.0/24"}}, "203.0.113.7",
		"conf:1 add 203.0.113.7 to allow"},
	{{.open = true, .items = {"deny 203.0.113.7"}}, "203.0.113.7",
		"conf:2 remove deny 203.0.113.7/32"},
	{{.open = true, .items = {"deny 203.0.113.7"}}, "203.0.113.8", NULL},
};

START_TEST(the_fix_is_told_and_leads_in)
{
	struct addr source = addr_of(rows[_i].source);
	struct acl *acl = acl_of(&rows[_i].rules);
	char fix[512] = "what was there";
	ck_assert(fix_format(acl, &source, fix, sizeof(fix)) == (rows[_i].fix != NULL));
	ck_assert_str_eq(fix, rows[_i].fix ? rows[_i].fix : "");
	acl_free(acl);
	expect_way_in(rows[_i].rules, &source);
}
END_TEST

/* Prefixes around one address, so that they enclose each other and coincide. */
START_TEST(any_fix_leads_in)
{
	unsigned seed = 1;
	for (unsigned i = 0; i < SETS; i++) {
		bool v6 = rand_r(&seed) & 1;
		struct addr source = addr_of(v6 ? "2001:db8:1:2:3:4:5:6" : "203.0.113.7");
		struct rules rules = {.open = rand_r(&seed) & 1};
		char items[RULES_MAX / 2][RULE_TEXT_MAX + sizeof("allow ")];
		for (unsigned k = 0; k < RULES_MAX / 2; k++) {
			char text[PREFIX_TEXT_MAX];
			struct prefix prefix = {.addr = source};
			unsigned bits = addr_bits(source.family);
			prefix.len = (uint8_t)(bits - (unsigned)rand_r(&seed) % (v6 ? 70 : 4));
			for (unsigned bit = prefix.len; bit < bits; bit++)
				prefix.addr.bytes[bit / 8] &= (uint8_t) ~(0x80 >> bit % 8);
			snprintf(items[k], sizeof(items[k]), "%s %s",
				rand_r(&seed) % 3 ? "deny" : "allow", prefix_format(&prefix, text));
			rules.items[k] = items[k];
		}
		expect_way_in(rules, &source);
	}
}
END_TEST

START_TEST(a_rule_that_is_no_prefix_need_not_go)
{
	char why[GEO_WHY_MAX], fix[512];
	struct report report;
	struct geo *geo = geo_load(GEO_COUNTRY, "tests/unit/data/mmdb/country.mmdb", NULL, why);
	struct addr source = addr_of(COUNTRY_SOURCE);
	uint32_t value = geo_find(geo, &source);
	char rule[GEO_TEXT_MAX];
	report_init(&report);
	ck_assert_uint_ne(value, GEO_NONE);
	struct acl *acl = acl_new("test", "conf", ACL_LINE, true);
	acl_add_item(acl, ACL_DENY, geo_format(GEO_COUNTRY, value, rule), "conf", 2, &report);
	acl_use_geo(acl, geo);
	ck_assert_int_eq(acl_seal(acl, &report), 0);
	ck_assert(fix_format(acl, &source, fix, sizeof(fix)));
	ck_assert_str_eq(fix, "conf:1 add " COUNTRY_SOURCE " to allow");
	acl_free(acl);
	geo_free(geo);
	report_fini(&report);
}
END_TEST

START_TEST(no_address_has_no_fix)
{
	const struct rules rules = {.items = {"allow 192.0.2.0/24"}};
	struct acl *acl = acl_of(&rules);
	char fix[64];
	ck_assert(!fix_format(acl, &(struct addr){.family = ADDR_NONE}, fix, sizeof(fix)));
	ck_assert_str_eq(fix, "");
	acl_free(acl);
}
END_TEST

START_TEST(a_small_buffer_cuts_it)
{
	const struct rules rules = {.items = {"allow 192.0.2.1", "deny 203.0.113.7"}};
	const char *whole = "conf:3 remove deny 203.0.113.7/32; conf:2 add 203.0.113.7 to allow";
	struct addr source = addr_of("203.0.113.7");
	struct acl *acl = acl_of(&rules);
	for (size_t size = 1; size <= strlen(whole) + 1; size++) {
		char *fix = malloc(size);
		ck_assert(fix_format(acl, &source, fix, size));
		ck_assert_uint_eq(strlen(fix), size - 1);
		ck_assert_int_eq(strncmp(fix, whole, size - 1), 0);
		free(fix);
	}
	acl_free(acl);
}
END_TEST

static void
fill(TCase *cases)
{
	tcase_add_loop_test(cases, the_fix_is_told_and_leads_in, 0, sizeof(rows) / sizeof(rows[0]));
	tcase_add_test(cases, any_fix_leads_in);
	tcase_add_test(cases, a_rule_that_is_no_prefix_need_not_go);
	tcase_add_test(cases, no_address_has_no_fix);
	tcase_add_test(cases, a_small_buffer_cuts_it);
}

UNIT_MAIN("fix", fill)

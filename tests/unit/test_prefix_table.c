/*
 * The prefix table against a naive oracle that looks at every prefix, on random nested input; and
 * what its seal says about coverage.
 */
#include "tests/unit/unit.h"

#include "acl/prefix_table.h"
#include "tests/unit/random.h"

#include <limits.h>
#include <string.h>

/* Few different bits, so that prefixes nest, touch and repeat. */
static struct prefix
random_prefix(uint64_t *state)
{
	struct prefix prefix = {.addr.family = random_next(state) % 2 ? ADDR_V4 : ADDR_V6};
	unsigned bits = addr_bits(prefix.addr.family);
	prefix.len = (uint8_t)(random_next(state) % (bits + 1));
	for (unsigned i = 0; i < prefix.len; i++)
		if (random_next(state) % 8 == 0)
			prefix.addr.bytes[i / 8] |= (uint8_t)(0x80 >> i % 8);
	return prefix;
}

/* A prefix's own address with random host bits, and some bits flipped: near the edges. */
static struct addr
random_addr(uint64_t *state, const struct prefix *near)
{
	struct addr addr = near->addr;
	unsigned bits = addr_bits(addr.family);
	uint64_t host = random_next(state) % 3;
	for (unsigned i = near->len; i < bits; i++)
		if (host == 2 || (host == 1 && random_next(state) % 2))
			addr.bytes[i / 8] |= (uint8_t)(0x80 >> i % 8);
	if (random_next(state) % 4 == 0) {
		unsigned flip = (unsigned)(random_next(state) % bits);
		addr.bytes[flip / 8] ^= (uint8_t)(0x80 >> flip % 8);
	}
	return addr;
}

struct oracle_rule {
	struct prefix prefix;
	bool allow;
};

static const struct oracle_rule *
oracle_find(const struct oracle_rule *rules, size_t count, const struct addr *addr, unsigned len)
{
	const struct oracle_rule *best = NULL;
	for (size_t i = 0; i < count; i++) {
		if (!prefix_contains(&rules[i].prefix, addr) || rules[i].prefix.len >= len)
			continue;
		if (!best || rules[i].prefix.len > best->prefix.len ||
			(rules[i].prefix.len == best->prefix.len && best->allow && !rules[i].allow))
			best = &rules[i];
	}
	return best;
}

enum {
	RULES_MAX = 300,
	ROUNDS = 150,
	LOOKUPS = 80,
};

static void
check_lookup(const struct oracle_rule *expected, const struct prefix_entry *found,
	const struct oracle_rule *rules, const struct addr *addr, uint64_t seed)
{
	char text[ADDR_TEXT_MAX];
	addr_format(addr, text);
	ck_assert_msg(!expected == !found, "seed %#lx: %s", seed, text);
	if (!expected)
		return;
	ck_assert_msg(found->line == (uint32_t)(expected - rules),
		"seed %#lx: %s: rule %u, not %td", seed, text, found->line, expected - rules);
	struct prefix prefix = prefix_entry_prefix(found, addr->family);
	ck_assert(addr_equal(&prefix.addr, &expected->prefix.addr));
	ck_assert_uint_eq(prefix.len, expected->prefix.len);
	ck_assert(found->allow == expected->allow);
	ck_assert_uint_eq(found->file, 7);
}

static void
check_round(uint64_t seed)
{
	static struct oracle_rule rules[RULES_MAX];
	uint64_t state = seed;
	size_t count = 1 + random_next(&state) % RULES_MAX;
	struct prefix_table table;
	prefix_table_init(&table);
	for (size_t i = 0; i < count; i++) {
		rules[i].prefix = random_prefix(&state);
		rules[i].allow = random_next(&state) % 2;
		prefix_table_add(&table, &rules[i].prefix, rules[i].allow, 7, (uint32_t)i);
	}
	prefix_table_seal(&table);
	for (size_t i = 0; i < LOOKUPS; i++) {
		struct addr addr = random_addr(&state, &rules[random_next(&state) % count].prefix);
		unsigned len = (unsigned)(random_next(&state) % 130);
		check_lookup(oracle_find(rules, count, &addr, UINT_MAX),
			prefix_table_find(&table, &addr), rules, &addr, seed);
		check_lookup(oracle_find(rules, count, &addr, len),
			prefix_table_find_shorter(&table, &addr, len), rules, &addr, seed);
	}
	prefix_table_fini(&table);
}

START_TEST(against_the_oracle)
{
	for (uint64_t seed = 0x5eed0000; seed < 0x5eed0000 + ROUNDS; seed++)
		check_round(seed);
}
END_TEST

static void
add(struct prefix_table *table, const char *text, bool allow, uint32_t line)
{
	struct prefix prefix;
	char why[PREFIX_WHY_MAX];
	ck_assert_msg(prefix_parse(&prefix, text, why) == 0, "%s: %s", text, why);
	prefix_table_add(table, &prefix, allow, 0, line);
}

START_TEST(empty)
{
	struct prefix_table table;
	struct addr addr;
	prefix_table_init(&table);
	prefix_table_seal(&table);
	ck_assert_int_eq(addr_parse(&addr, "192.0.2.1"), 0);
	ck_assert_ptr_null(prefix_table_find(&table, &addr));
	ck_assert_int_eq(addr_parse(&addr, "::"), 0);
	ck_assert_ptr_null(prefix_table_find(&table, &addr));
	ck_assert_ptr_null(prefix_table_find(&table, &(struct addr){.family = ADDR_NONE}));
	ck_assert(!table.v4.allows_all && !table.v6.allows_all);
	prefix_table_fini(&table);
}
END_TEST

START_TEST(rewind_to_a_mark)
{
	struct prefix_table table;
	struct addr addr;
	prefix_table_init(&table);
	add(&table, "10.0.0.0/8", true, 1);
	struct prefix_mark mark = prefix_table_mark(&table);
	add(&table, "192.0.2.0/24", true, 2);
	add(&table, "2001:db8::/32", true, 3);
	prefix_table_rewind(&table, mark);
	add(&table, "198.51.100.0/24", false, 4);
	prefix_table_seal(&table);
	ck_assert_uint_eq(table.v4.count, 2);
	ck_assert_uint_eq(table.v6.count, 0);
	ck_assert_uint_eq(table.v4.allows, 1);
	ck_assert_int_eq(addr_parse(&addr, "192.0.2.1"), 0);
	ck_assert_ptr_null(prefix_table_find(&table, &addr));
	prefix_table_fini(&table);
}
END_TEST

struct cover_row {
	const char *allows; /* apart by blanks; a - in front makes a deny */
	bool all_v4, all_v6;
};

static const struct cover_row covers[] = {
	{"0.0.0.0/0", true, false},
	{"::/0", false, true},
	{"::ffff:0:0/96", true, false},
	{"0.0.0.0/1 128.0.0.0/1", true, false},
	{"128.0.0.0/1 0.0.0.0/1", true, false},
	{"0.0.0.0/1 128.0.0.0/2", false, false},
	{"128.0.0.0/1", false, false},
	{"0.0.0.0/1 10.0.0.0/8 128.0.0.0/2 192.0.0.0/2", true, false},
	{"0.0.0.0/1 128.0.0.0/2 192.0.0.0/3 224.0.0.0/3", true, false},
	{"0.0.0.0/1 128.0.0.0/2 192.0.0.0/3 224.0.0.0/4 240.0.0.0/5", false, false},
	{"0.0.0.0/2 65.0.0.0/8 128.0.0.0/1", false, false},
	{"::/1 8000::/1", false, true},
	{"2000::/3", false, false},
	{"0.0.0.0/0 -0.0.0.0/0", true, false},
	{"-0.0.0.0/0 0.0.0.0/0", true, false},
	{"0.0.0.0/1 128.0.0.0/1 -0.0.0.0/1 -10.0.0.0/8", true, false},
	{"-0.0.0.0/0 10.0.0.0/8", false, false},
	{"-0.0.0.0/1 128.0.0.0/1", false, false},
	{"::/0 0.0.0.0/0", true, true},
	/* every IPv6 address but the mapped range, where no source ever is */
	{"::/81 ::8000:0:0/82 ::c000:0:0/83 ::e000:0:0/84 ::f000:0:0/85 ::f800:0:0/86 "
	 "::fc00:0:0/87 ::fe00:0:0/88 ::ff00:0:0/89 ::ff80:0:0/90 ::ffc0:0:0/91 ::ffe0:0:0/92 "
	 "::fff0:0:0/93 ::fff8:0:0/94 ::fffc:0:0/95 ::fffe:0:0/96 ::1:0:0:0/80 ::2:0:0:0/79 "
	 "::4:0:0:0/78 ::8:0:0:0/77 ::10:0:0:0/76 ::20:0:0:0/75 ::40:0:0:0/74 ::80:0:0:0/73 "
	 "::100:0:0:0/72 ::200:0:0:0/71 ::400:0:0:0/70 ::800:0:0:0/69 ::1000:0:0:0/68 "
	 "::2000:0:0:0/67 ::4000:0:0:0/66 ::8000:0:0:0/65 0:0:0:1::/64 0:0:0:2::/63 0:0:0:4::/62 "
	 "0:0:0:8::/61 0:0:0:10::/60 0:0:0:20::/59 0:0:0:40::/58 0:0:0:80::/57 0:0:0:100::/56 "
	 "0:0:0:200::/55 0:0:0:400::/54 0:0:0:800::/53 0:0:0:1000::/52 0:0:0:2000::/51 "
	 "0:0:0:4000::/50 0:0:0:8000::/49 0:0:1::/48 0:0:2::/47 0:0:4::/46 0:0:8::/45 "
	 "0:0:10::/44 0:0:20::/43 0:0:40::/42 0:0:80::/41 0:0:100::/40 0:0:200::/39 0:0:400::/38 "
	 "0:0:800::/37 0:0:1000::/36 0:0:2000::/35 0:0:4000::/34 0:0:8000::/33 0:1::/32 0:2::/31 "
	 "0:4::/30 0:8::/29 0:10::/28 0:20::/27 0:40::/26 0:80::/25 0:100::/24 0:200::/23 "
	 "0:400::/22 0:800::/21 0:1000::/20 0:2000::/19 0:4000::/18 0:8000::/17 1::/16 2::/15 "
	 "4::/14 8::/13 10::/12 20::/11 40::/10 80::/9 100::/8 200::/7 400::/6 800::/5 1000::/4 "
	 "2000::/3 4000::/2 8000::/1",
		false, true},
};

static void
check_coverage(const struct cover_row *row)
{
	char *texts = strdup(row->allows);
	struct prefix_table table;
	prefix_table_init(&table);
	char *rest = NULL;
	for (char *text = strtok_r(texts, " ", &rest); text; text = strtok_r(NULL, " ", &rest))
		add(&table, text + (text[0] == '-'), text[0] != '-', 1);
	free(texts);
	prefix_table_seal(&table);
	ck_assert_msg(table.v4.allows_all == row->all_v4, "%s", row->allows);
	ck_assert_msg(table.v6.allows_all == row->all_v6, "%s", row->allows);
	prefix_table_fini(&table);
}

START_TEST(coverage)
{
	for (size_t i = 0; i < sizeof(covers) / sizeof(*covers); i++)
		check_coverage(&covers[i]);
}
END_TEST

START_TEST(widest_allow)
{
	struct prefix_table table;
	prefix_table_init(&table);
	add(&table, "10.0.0.0/8", false, 1);
	add(&table, "10.0.0.0/16", true, 2);
	add(&table, "172.16.0.0/12", true, 3);
	add(&table, "192.0.2.0/24", true, 4);
	prefix_table_seal(&table);
	ck_assert_uint_eq(table.v4.allows, 3);
	ck_assert_uint_eq(table.v4.widest.line, 3);
	prefix_table_fini(&table);
}
END_TEST

static bool
in_order(const struct prefix_entry *a, const struct prefix_entry *b)
{
	if (a->first != b->first)
		return a->first < b->first;
	return a->len != b->len ? a->len < b->len : a->order < b->order;
}

/* Enough of them, and so much alike, that each part of the key has to tell some apart. */
START_TEST(sort)
{
	enum {
		COUNT = 20000,
	};
	uint64_t state = 1;
	struct prefix_table table;
	prefix_table_init(&table);
	for (unsigned i = 0; i < COUNT; i++) {
		struct prefix prefix = {
			.addr.family = ADDR_V6, .len = (uint8_t)(100 + random_below(&state, 3))};
		prefix.addr.bytes[random_below(&state, 12)] = (uint8_t)random_below(&state, 4);
		prefix_table_add(&table, &prefix, true, 0, i);
	}
	struct prefix_entry *entries = table.v6.entries;
	prefix_sort(entries, COUNT);
	for (size_t i = 1; i < COUNT; i++)
		ck_assert(in_order(&entries[i - 1], &entries[i]));
	prefix_table_fini(&table);
}
END_TEST

START_TEST(repeats)
{
	struct prefix_table table;
	prefix_table_init(&table);
	for (unsigned line = 1; line <= 1000; line++) {
		add(&table, "10.0.0.0/8", true, line);
		add(&table, "192.0.2.0/24", line < 7, line);
	}
	prefix_table_seal(&table);
	ck_assert_uint_eq(table.v4.count, 2);
	ck_assert_uint_eq(table.v4.entries[0].line, 1);
	ck_assert_uint_eq(table.v4.entries[1].line, 7);
	prefix_table_fini(&table);
}
END_TEST

START_TEST(dunnos)
{
	struct prefix_table table;
	struct prefix prefix;
	char why[PREFIX_WHY_MAX];
	prefix_table_init(&table);
	add(&table, "10.0.0.0/8", true, 1);
	struct prefix_mark mark = prefix_table_mark(&table);
	add(&table, "10.1.0.0/16", false, 2);
	ck_assert_int_eq(prefix_parse(&prefix, "10.2.0.0/16", why), 0);
	prefix_table_add_dunno(&table, &prefix, 0, 3);
	ck_assert_int_eq(prefix_parse(&prefix, "2001:db8::/32", why), 0);
	prefix_table_add_dunno(&table, &prefix, 0, 4);
	add(&table, "10.3.0.0/16", true, 5);
	prefix_table_drop_dunnos(&table, mark);
	add(&table, "10.1.0.0/16", false, 6);
	prefix_table_seal(&table);
	ck_assert_uint_eq(table.v4.count, 3);
	ck_assert_uint_eq(table.v6.count, 0);
	ck_assert_uint_eq(table.v4.entries[1].line, 2);
	ck_assert_uint_eq(table.v4.entries[2].line, 5);
	prefix_table_fini(&table);
}
END_TEST

static void
fill(TCase *cases)
{
	tcase_add_test(cases, sort);
	tcase_add_test(cases, repeats);
	tcase_add_test(cases, dunnos);
	tcase_add_test(cases, against_the_oracle);
	tcase_add_test(cases, empty);
	tcase_add_test(cases, rewind_to_a_mark);
	tcase_add_test(cases, coverage);
	tcase_add_test(cases, widest_allow);
}

UNIT_MAIN("prefix_table", fill)

/*
 * The warnings about Postfix's first match against a naive oracle, which asks both ways for every
 * address, in thousands of random lists.
 */
#include "tests/unit/unit.h"

#include "acl/first_match.h"
#include "tests/unit/list_oracle.h"

#include <stdio.h>
#include <string.h>

enum {
	ENTRIES_MAX = 24,
	ROUNDS = 20000,
};

struct list {
	struct entry entries[ENTRIES_MAX];
	size_t count;
	struct base base;
};

/* Lists of all that can be: without and with DUNNO, without and with deny. */
static struct list
random_list(uint64_t *state)
{
	unsigned sayings = 1 + random_below(state, 3);
	struct list list = {
		.count = 1 + random_below(state, ENTRIES_MAX),
		.base = random_base(state),
	};
	for (size_t i = 0; i < list.count; i++) {
		list.entries[i].prefix = random_prefix(state, &list.base);
		list.entries[i].says = (enum says)random_below(state, sayings);
	}
	return list;
}

/* Where the list is to be warned of: the place that a reader comes to first, and how many. */
struct expected {
	struct look look;
	size_t count;
};

static bool
is_before(const struct look *a, const struct look *b)
{
	const struct entry *a_last = a->first > a->best ? a->first : a->best;
	const struct entry *b_last = b->first > b->best ? b->first : b->best;
	const struct entry *a_other = a->first > a->best ? a->best : a->first;
	const struct entry *b_other = b->first > b->best ? b->best : b->first;
	return a_last != b_last ? a_last < b_last : a_other < b_other;
}

static void
expect_look(struct expected *expected, const struct look *look, bool seen[ENTRIES_MAX],
	const struct list *list)
{
	if (!look_differs(look) || seen[look->inner - list->entries])
		return;
	seen[look->inner - list->entries] = true;
	if (expected->count++ == 0 || is_before(look, &expected->look))
		expected->look = *look;
}

static struct expected
expect_list(const struct list *list)
{
	struct expected expected = {.count = 0};
	bool seen[ENTRIES_MAX] = {false};
	for (unsigned number = 0; number < 2 * ADDRESSES; number++) {
		struct addr addr = numbered_addr(&list->base, number);
		struct look look = look_at(list->entries, list->count, &addr);
		expect_look(&expected, &look, seen, list);
	}
	return expected;
}

static const char *
entry_text(const struct entry *entry, char text[80])
{
	static const char *const names[] = {"allow", "deny", "DUNNO"};
	char prefix[PREFIX_TEXT_MAX];
	snprintf(text, 80, "%s %s", names[entry->says], prefix_format(&entry->prefix, prefix));
	return text;
}

static void
expect_message(
	const struct list *list, const struct expected *expected, const char *said, uint64_t seed)
{
	const struct entry *first = expected->look.first;
	const struct entry *best = expected->look.best;
	char text[512];
	char first_text[80];
	char best_text[80];
	const char *advice = "a DUNNO makes no exception here, so say what you mean";
	if (first->prefix.len < best->prefix.len)
		advice = "put the longer prefix first";
	else if (first->prefix.len == best->prefix.len)
		advice = "take out one of them";
	int len = snprintf(text, sizeof(text),
		"L:%td: %s decides here, but in Postfix the first match, %s at L:%td; %s",
		best - list->entries + 1, entry_text(best, best_text),
		entry_text(first, first_text), first - list->entries + 1, advice);
	if (expected->count > 1)
		snprintf(text + len, sizeof(text) - (size_t)len, " (and %zu more in this list)",
			expected->count - 1);
	ck_assert_msg(strcmp(said, text) == 0, "seed %#lx:\n%s\n%s", seed, said, text);
}

static void
fill_table(struct prefix_table *table, const struct list *list)
{
	for (size_t i = 0; i < list->count; i++) {
		const struct entry *entry = &list->entries[i];
		uint32_t line = (uint32_t)i + 1;
		if (entry->says == DUNNO)
			prefix_table_add_dunno(table, &entry->prefix, 0, line);
		else
			prefix_table_add(table, &entry->prefix, entry->says == ALLOW, 0, line);
	}
}

/* What is in the table before the list is none of its business. */
static void
fill_before(struct prefix_table *table, uint64_t *state, const struct list *list)
{
	for (unsigned i = random_below(state, 4); i > 0; i--) {
		struct prefix prefix = random_prefix(state, &list->base);
		prefix_table_add(table, &prefix, random_below(state, 2), 1, i);
	}
}

static bool
has_dunno(const struct prefix_set *set)
{
	for (size_t i = 0; i < set->count; i++)
		if (set->entries[i].dunno)
			return true;
	return false;
}

/* The sum of what was warned of, so that the test knows that it tests. */
static size_t
check_round(uint64_t seed)
{
	static char *files[] = {"L", "before"};
	uint64_t state = seed;
	struct list list = random_list(&state);
	struct expected expected = expect_list(&list);
	struct prefix_table table;
	struct report report;
	report_init(&report);
	prefix_table_init(&table);
	fill_before(&table, &state, &list);
	struct prefix_mark mark = prefix_table_mark(&table);
	fill_table(&table, &list);
	first_match_check(&table, mark, files, &report);
	ck_assert_msg(report.count == (expected.count > 0), "seed %#lx: %s", seed,
		report.count ? report.entries[0].text : "no warning");
	ck_assert_uint_eq(report.errors, 0);
	if (expected.count)
		expect_message(&list, &expected, report.entries[0].text, seed);
	ck_assert(!has_dunno(&table.v4) && !has_dunno(&table.v6));
	prefix_table_fini(&table);
	report_fini(&report);
	return report.count || expected.count;
}

START_TEST(against_the_oracle)
{
	size_t warned = 0;
	for (uint64_t seed = 0x5eed0000; seed < 0x5eed0000 + ROUNDS; seed++)
		warned += check_round(seed);
	ck_assert_uint_gt(warned, ROUNDS / 4);
	ck_assert_uint_lt(warned, ROUNDS * 3 / 4);
}
END_TEST

START_TEST(nothing)
{
	struct prefix_table table;
	struct report report;
	report_init(&report);
	prefix_table_init(&table);
	first_match_check(&table, prefix_table_mark(&table), NULL, &report);
	ck_assert_uint_eq(report.count, 0);
	prefix_table_fini(&table);
}
END_TEST

/* The deepest nesting that there is, in the worst order. */
START_TEST(every_length)
{
	static char *files[] = {"L"};
	struct prefix_table table;
	struct report report;
	report_init(&report);
	prefix_table_init(&table);
	for (uint8_t len = 0; len <= 128; len++) {
		struct prefix prefix = {.addr.family = ADDR_V6, .len = len};
		prefix_table_add(&table, &prefix, len % 2, 0, len + 1u);
	}
	first_match_check(&table, (struct prefix_mark){0, 0}, files, &report);
	ck_assert_uint_eq(report.count, 1);
	ck_assert_str_eq(report.entries[0].text,
		"L:2: allow ::/1 decides here, but in Postfix the first match, deny ::/0 at L:1; "
		"put the longer prefix first (and 63 more in this list)");
	prefix_table_fini(&table);
	report_fini(&report);
}
END_TEST

static void
fill(TCase *cases)
{
	tcase_add_test(cases, against_the_oracle);
	tcase_add_test(cases, nothing);
	tcase_add_test(cases, every_length);
}

UNIT_MAIN("first_match", fill)

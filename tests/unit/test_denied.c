/*
 * The summary of denied sources: exact while there is room, within its bounds when there is not,
 * over several workers, and while it is read.
 */
#include "lb/denied.h"

#include "tests/unit/random.h"
#include "tests/unit/unit.h"

#include <malloc.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

enum {
	PARTS_MAX = 3,
	SMALL = 8,
	ALL = 100000, /* rows: more than there are */
};

static struct addr
v4(uint32_t number)
{
	struct addr addr = {.family = ADDR_V4};
	for (unsigned i = 0; i < 4; i++)
		addr.bytes[i] = (uint8_t)(number >> (24 - 8 * i));
	return addr;
}

static void
new_parts(struct denied **parts, size_t count, size_t capacity)
{
	for (size_t i = 0; i < count; i++)
		parts[i] = denied_new(capacity);
}

static void
free_parts(struct denied *const *parts, size_t count)
{
	for (size_t i = 0; i < count; i++)
		denied_free(parts[i]);
}

static void
add_text(struct denied *denied, const char *listener, const char *text, uint64_t ms)
{
	struct addr addr;
	ck_assert_int_eq(addr_parse(&addr, text), 0);
	denied_add(denied, listener, &addr, ms);
}

/* Tables of rows: what is added, and what is read then. */

struct event {
	unsigned part, times;
	const char *listener, *source;
	uint64_t ms; /* of the first time; one more each time */
};

static const struct {
	const char *name;
	size_t capacity, rows;
	struct event events[10];
	const char *expected; /* a line each: listener network address count at_least last */
} examples[] = {
	{"nothing", 4, 10, {{0}}, ""},
	{"exact, most frequent first", 4, 10,
		{{0, 2, "smtp", "192.0.2.1", 10}, {0, 3, "smtp", "192.0.2.2", 20},
			{0, 1, "smtp", "192.0.2.3", 30}, {0, 2, "smtp", "192.0.2.1", 40}},
		"smtp 192.0.2.1/32 192.0.2.1 4 4 41\n"
		"smtp 192.0.2.2/32 192.0.2.2 3 3 22\n"
		"smtp 192.0.2.3/32 192.0.2.3 1 1 30\n"},
	{"a tie goes to the last one", 4, 10,
		{{0, 2, "smtp", "192.0.2.1", 10}, {0, 2, "smtp", "192.0.2.2", 30},
			{0, 2, "smtp", "192.0.2.3", 20}},
		"smtp 192.0.2.2/32 192.0.2.2 2 2 31\n"
		"smtp 192.0.2.3/32 192.0.2.3 2 2 21\n"
		"smtp 192.0.2.1/32 192.0.2.1 2 2 11\n"},
	{"a tie in the same moment, by address and listener", 4, 10,
		{{0, 1, "b", "192.0.2.2", 10}, {0, 1, "a", "192.0.2.2", 10},
			{0, 1, "b", "2001:db8::", 10}, {0, 1, "b", "192.0.2.1", 10}},
		"b 192.0.2.1/32 192.0.2.1 1 1 10\n"
		"a 192.0.2.2/32 192.0.2.2 1 1 10\n"
		"b 192.0.2.2/32 192.0.2.2 1 1 10\n"
		"b 2001:db8::/64 2001:db8:: 1 1 10\n"},
	{"so many rows only", 4, 2,
		{{0, 1, "smtp", "192.0.2.1", 10}, {0, 3, "smtp", "192.0.2.2", 20},
			{0, 2, "smtp", "192.0.2.3", 30}},
		"smtp 192.0.2.2/32 192.0.2.2 3 3 22\n"
		"smtp 192.0.2.3/32 192.0.2.3 2 2 31\n"},
	{"no rows", 4, 0, {{0, 1, "smtp", "192.0.2.1", 10}}, ""},
	{"by listener", 4, 10,
		{{0, 1, "smtp", "192.0.2.1", 10}, {0, 2, "submission", "192.0.2.1", 20}},
		"submission 192.0.2.1/32 192.0.2.1 2 2 21\n"
		"smtp 192.0.2.1/32 192.0.2.1 1 1 10\n"},
	{"IPv6 by /64, with the last address", 4, 10,
		{{0, 1, "smtp", "2001:db8:1:2::5", 10},
			{0, 1, "smtp", "2001:db8:1:2:ffff:ffff:ffff:ffff", 20},
			{0, 1, "smtp", "2001:db8:1:3::5", 30}},
		"smtp 2001:db8:1:2::/64 2001:db8:1:2:ffff:ffff:ffff:ffff 2 2 20\n"
		"smtp 2001:db8:1:3::/64 2001:db8:1:3::5 1 1 30\n"},
	{"IPv4 and IPv6 with the same bytes", 4, 10,
		{{0, 2, "smtp", "32.1.13.184", 10}, {0, 1, "smtp", "2001:db8::", 20}},
		"smtp 32.1.13.184/32 32.1.13.184 2 2 11\n"
		"smtp 2001:db8::/64 2001:db8:: 1 1 20\n"},
	{"who comes without room takes the least one's place and count", 2, 10,
		{{0, 5, "smtp", "192.0.2.1", 10}, {0, 3, "smtp", "192.0.2.2", 20},
			{0, 1, "smtp", "192.0.2.3", 30}},
		"smtp 192.0.2.1/32 192.0.2.1 5 5 14\n"
		"smtp 192.0.2.3/32 192.0.2.3 4 1 30\n"},
	{"of the least ones who has not come for longest goes", 3, 10,
		{{0, 1, "smtp", "192.0.2.1", 10}, {0, 1, "smtp", "192.0.2.2", 20},
			{0, 2, "smtp", "192.0.2.3", 30}, {0, 1, "smtp", "192.0.2.4", 40}},
		"smtp 192.0.2.4/32 192.0.2.4 2 1 40\n"
		"smtp 192.0.2.3/32 192.0.2.3 2 2 31\n"
		"smtp 192.0.2.2/32 192.0.2.2 1 1 20\n"},
	{"room for one", 1, 10, {{0, 3, "smtp", "192.0.2.1", 10}, {0, 2, "smtp", "192.0.2.2", 20}},
		"smtp 192.0.2.2/32 192.0.2.2 5 2 21\n"},
	{"several workers' counts add up", 4, 10,
		{{0, 2, "smtp", "192.0.2.1", 50}, {1, 3, "smtp", "192.0.2.1", 20},
			{2, 4, "smtp", "192.0.2.2", 30}, {1, 1, "other", "192.0.2.1", 60}},
		"smtp 192.0.2.1/32 192.0.2.1 5 5 51\n"
		"smtp 192.0.2.2/32 192.0.2.2 4 4 33\n"
		"other 192.0.2.1/32 192.0.2.1 1 1 60\n"},
	{"the last address of all workers", 4, 10,
		{{0, 1, "smtp", "2001:db8::1", 20}, {1, 1, "smtp", "2001:db8::2", 30},
			{2, 1, "smtp", "2001:db8::3", 10}},
		"smtp 2001:db8::/64 2001:db8::2 3 3 30\n"},
	/* Worker 1 has forgotten what it may have seen three times. */
	{"a full worker may have seen what it does not know", 1, 10,
		{{0, 2, "smtp", "192.0.2.1", 10}, {1, 2, "smtp", "192.0.2.1", 20},
			{1, 1, "smtp", "192.0.2.2", 30}},
		"smtp 192.0.2.2/32 192.0.2.2 5 1 30\n"
		"smtp 192.0.2.1/32 192.0.2.1 5 2 11\n"},
};

START_TEST(told_as_expected)
{
	struct denied *parts[PARTS_MAX];
	new_parts(parts, PARTS_MAX, examples[_i].capacity);
	for (const struct event *event = examples[_i].events; event->times; event++) {
		for (unsigned i = 0; i < event->times; i++)
			add_text(parts[event->part], event->listener, event->source, event->ms + i);
	}
	size_t count, len = 0;
	char said[2000] = "";
	struct denied_source *rows = denied_read(parts, PARTS_MAX, examples[_i].rows, &count);
	for (size_t i = 0; i < count; i++) {
		char network[PREFIX_TEXT_MAX], address[ADDR_TEXT_MAX];
		len += (size_t)snprintf(said + len, sizeof(said) - len, "%s %s %s %lu %lu %lu\n",
			rows[i].listener, prefix_format(&rows[i].network, network),
			addr_format(&rows[i].address, address), rows[i].count, rows[i].at_least,
			rows[i].last_ms);
	}
	ck_assert_msg(strcmp(said, examples[_i].expected) == 0, "%s:\n%s", examples[_i].name, said);
	free(rows);
	free_parts(parts, PARTS_MAX);
}
END_TEST

START_TEST(no_summary_at_all)
{
	size_t count = 1;
	struct denied_source *rows = denied_read(NULL, 0, ALL, &count);
	ck_assert_ptr_nonnull(rows);
	ck_assert_uint_eq(count, 0);
	free(rows);
}
END_TEST

START_TEST(the_longest_name_is_whole)
{
	char name[DENIED_LISTENER_MAX + 1] = "";
	memset(name, 'n', DENIED_LISTENER_MAX);
	struct denied *denied = denied_new(SMALL);
	for (unsigned i = 0; i < 2; i++)
		add_text(denied, name, "192.0.2.1", 1);
	size_t count;
	struct denied_source *rows = denied_read(&denied, 1, ALL, &count);
	ck_assert_uint_eq(count, 1);
	ck_assert_str_eq(rows[0].listener, name);
	free(rows);
	denied_free(denied);
}
END_TEST

/* Random streams against plain counters. */

enum {
	NUMBERS = 64, /* different sources */
	EVENTS = 3000,
	ROUNDS = 200,
};

static uint32_t
number_of(const struct addr *addr)
{
	return (uint32_t)addr->bytes[2] << 8 | addr->bytes[3];
}

/* What is told is within its bounds, and whoever is not told was not frequent. */
static void
expect_bounds(struct denied *const *parts, size_t part_count, size_t capacity,
	const uint64_t truth[NUMBERS], const uint64_t totals[PARTS_MAX], uint64_t seed)
{
	bool is_told[NUMBERS] = {false};
	size_t count;
	struct denied_source *rows = denied_read(parts, part_count, ALL, &count);
	for (size_t i = 0; i < count; i++) {
		uint32_t number = number_of(&rows[i].address);
		ck_assert_msg(!is_told[number], "seed %lu: %u twice", seed, number);
		is_told[number] = true;
		ck_assert_msg(rows[i].at_least <= truth[number] && truth[number] <= rows[i].count,
			"seed %lu: %u: %lu not in %lu to %lu", seed, number, truth[number],
			rows[i].at_least, rows[i].count);
		ck_assert(i == 0 || rows[i - 1].count >= rows[i].count);
		ck_assert(rows[i].at_least > 0);
		if (capacity >= NUMBERS)
			ck_assert_uint_eq(rows[i].at_least, rows[i].count);
	}
	uint64_t all = 0;
	for (size_t i = 0; i < part_count; i++)
		all += totals[i];
	for (uint32_t number = 0; number < NUMBERS; number++)
		ck_assert_msg(is_told[number] || truth[number] * capacity <= all,
			"seed %lu: %u came %lu times of %lu and is not told", seed, number,
			truth[number], all);
	free(rows);
}

static void
check_stream(uint64_t seed)
{
	uint64_t state = seed, truth[NUMBERS] = {0}, totals[PARTS_MAX] = {0};
	size_t part_count = 1 + random_next(&state) % PARTS_MAX;
	size_t capacity = 1 + random_next(&state) % (NUMBERS + 8);
	uint64_t skew = 1 + random_next(&state) % 3;
	struct denied *parts[PARTS_MAX];
	new_parts(parts, part_count, capacity);
	for (uint64_t i = 0; i < EVENTS; i++) {
		uint32_t number = (uint32_t)(random_next(&state) % NUMBERS);
		for (uint64_t k = 1; k < skew; k++)
			number = (uint32_t)(random_next(&state) % (number + 1));
		size_t part = random_next(&state) % part_count;
		struct addr addr = v4(number);
		denied_add(parts[part], "smtp", &addr, i);
		truth[number]++;
		totals[part]++;
	}
	expect_bounds(parts, part_count, capacity, truth, totals, seed);
	free_parts(parts, part_count);
}

START_TEST(within_bounds)
{
	for (uint64_t seed = 1; seed <= ROUNDS; seed++)
		check_stream(seed);
}
END_TEST

/* A scan. */

static uint64_t
bytes_in_use(void)
{
	struct mallinfo2 info = mallinfo2();
	return info.uordblks + info.hblkhd;
}

/* A walk over the whole of IPv4 in steps that meet each address once; after the first of each
 * period comes the source. Returns how often it came. */
static uint64_t
scan(struct denied *denied, uint32_t scanned, uint32_t period, const struct addr *source)
{
	uint64_t times = 0;
	for (uint32_t i = 0; i < scanned; i++) {
		struct addr addr = v4(i * 2654435761u);
		denied_add(denied, "smtp", &addr, i);
		if (i % period == 0) {
			denied_add(denied, "smtp", source, i);
			times++;
		}
	}
	return times;
}

/* The source comes a little more often than the capacity would allow to hide. */
START_TEST(a_scan_hides_no_frequent_source)
{
	enum {
		SCANNED = 1000000,
		PERIOD = DENIED_SOURCES - 48,
	};
	const struct addr frequent = v4(0xcb007107); /* 203.0.113.7 */
	struct denied *denied = denied_new(DENIED_SOURCES);
	uint64_t bytes = bytes_in_use();
	uint64_t times = scan(denied, SCANNED, PERIOD, &frequent);
	ck_assert_uint_eq(bytes_in_use(), bytes);
	size_t count;
	bool is_found = false;
	struct denied_source *rows = denied_read(&denied, 1, ALL, &count);
	ck_assert_uint_eq(count, DENIED_SOURCES);
	for (size_t i = 0; i < count; i++) {
		if (!addr_equal(&rows[i].address, &frequent))
			continue;
		is_found = true;
		ck_assert_uint_ge(rows[i].count, times);
		ck_assert_uint_le(rows[i].at_least, times);
	}
	ck_assert(is_found);
	free(rows);
	denied_free(denied);
}
END_TEST

START_TEST(a_heavy_source_comes_first_in_a_scan)
{
	const struct addr heavy = v4(0xcb007107);
	struct denied *denied = denied_new(DENIED_SOURCES);
	uint64_t times = scan(denied, 200000, 100, &heavy);
	size_t count;
	struct denied_source *rows = denied_read(&denied, 1, 1, &count);
	ck_assert_uint_eq(count, 1);
	ck_assert(addr_equal(&rows[0].address, &heavy));
	ck_assert_uint_eq(rows[0].at_least, times);
	ck_assert_uint_eq(rows[0].count, times);
	free(rows);
	denied_free(denied);
}
END_TEST

/* Two workers add while the main thread reads. */

enum {
	THREADS = 2,
	ADDED = 20000, /* by each */
};

static void *
add_many(void *argument)
{
	struct denied *denied = argument;
	for (uint32_t i = 0; i < ADDED; i++) {
		struct addr addr = v4(i % 2 ? 1 : i);
		denied_add(denied, "smtp", &addr, i);
	}
	return NULL;
}

START_TEST(read_while_workers_add)
{
	struct denied *parts[THREADS];
	pthread_t threads[THREADS];
	struct addr most = v4(1);
	uint64_t before = 0;
	for (size_t i = 0; i < THREADS; i++) {
		parts[i] = denied_new(SMALL);
		ck_assert_int_eq(pthread_create(&threads[i], NULL, add_many, parts[i]), 0);
	}
	while (before < ADDED) {
		size_t count;
		struct denied_source *rows = denied_read(parts, THREADS, 1, &count);
		ck_assert_ptr_nonnull(rows);
		if (count && addr_equal(&rows[0].address, &most)) {
			ck_assert_uint_ge(rows[0].at_least, before);
			before = rows[0].at_least;
		}
		free(rows);
	}
	ck_assert_uint_eq(before, ADDED / 2 * THREADS);
	for (size_t i = 0; i < THREADS; i++) {
		pthread_join(threads[i], NULL);
		denied_free(parts[i]);
	}
}
END_TEST

static void
fill(TCase *tests)
{
	tcase_add_loop_test(tests, told_as_expected, 0, sizeof(examples) / sizeof(examples[0]));
	tcase_add_test(tests, no_summary_at_all);
	tcase_add_test(tests, the_longest_name_is_whole);
	tcase_add_test(tests, within_bounds);
	tcase_add_test(tests, a_scan_hides_no_frequent_source);
	tcase_add_test(tests, a_heavy_source_comes_first_in_a_scan);
	tcase_add_test(tests, read_while_workers_add);
}

UNIT_MAIN("denied", fill)

/*
 * Countries and network numbers: values as text, and databases (tests/unit/data/mmdb, made by the
 * script there), right ones against the networks that they were made of, and broken ones.
 */
#include "acl/geo.h"
#include "tests/unit/geo_networks.h"
#include "tests/unit/unit.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
	LOOKUPS = 20000,
#ifdef UNIT_SANITIZED
	MUTANTS = 60, /* of each database: a fork takes far longer under a sanitizer */
#else
	MUTANTS = 700,
#endif
};

static struct geo *
load(enum geo_kind kind, const char *name)
{
	char path[128], why[GEO_WHY_MAX] = "";
	snprintf(path, sizeof(path), MMDB_DATA "%s", name);
	struct geo *geo = geo_load(kind, path, NULL, why);
	ck_assert_msg(geo, "%s %s", path, why);
	return geo;
}

static struct addr
addr_of(const char *text)
{
	struct addr addr;
	ck_assert_int_eq(addr_parse(&addr, text), 0);
	return addr;
}

static uint32_t
country_of(const char *code)
{
	return (uint32_t)code[0] << 8 | (uint32_t)code[1];
}

START_TEST(values_as_text)
{
	static const struct {
		enum geo_kind kind;
		const char *text, *formatted; /* NULL: refused */
	} rows[] = {
		{GEO_COUNTRY, "JP", "country:JP"},
		{GEO_COUNTRY, "jp", "country:JP"},
		{GEO_COUNTRY, "Az", "country:AZ"},
		{GEO_COUNTRY, "", NULL},
		{GEO_COUNTRY, "J", NULL},
		{GEO_COUNTRY, "JPN", NULL},
		{GEO_COUNTRY, "J1", NULL},
		{GEO_COUNTRY, "J P", NULL},
		{GEO_COUNTRY, "@A", NULL},
		{GEO_COUNTRY, "A[", NULL},
		{GEO_COUNTRY, "`a", NULL},
		{GEO_COUNTRY, "a{", NULL},
		{GEO_COUNTRY, "\xc3\xa4", NULL},
		{GEO_ASN, "1", "asn:1"},
		{GEO_ASN, "64500", "asn:64500"},
		{GEO_ASN, "4294967295", "asn:4294967295"},
		{GEO_ASN, "4294967296", NULL},
		{GEO_ASN, "18446744073709551617", NULL},
		{GEO_ASN, "0", NULL},
		{GEO_ASN, "064500", NULL},
		{GEO_ASN, "", NULL},
		{GEO_ASN, "-1", NULL},
		{GEO_ASN, "AS64500", NULL},
		{GEO_ASN, "1.10", NULL},
		{GEO_ASN, "64500 ", NULL},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		uint32_t value;
		char why[GEO_WHY_MAX] = "", text[GEO_TEXT_MAX];
		int parsed = geo_parse(rows[i].kind, rows[i].text, &value, why);
		ck_assert_msg(!rows[i].formatted == (parsed < 0), "%s", rows[i].text);
		ck_assert_msg(!rows[i].formatted == (why[0] != 0), "%s", rows[i].text);
		if (rows[i].formatted)
			ck_assert_str_eq(geo_format(rows[i].kind, value, text), rows[i].formatted);
	}
	ck_assert_str_eq(geo_kind_name(GEO_COUNTRY), "country");
	ck_assert_str_eq(geo_kind_name(GEO_ASN), "asn");
}
END_TEST

static void
agree(enum geo_kind kind, const char *name, bool v6)
{
	static struct networks networks;
	networks_read(&networks, kind);
	struct geo *geo = load(kind, name);
	unsigned seed = 1, hits = 0;
	for (unsigned i = 0; i < LOOKUPS; i++) {
		struct addr addr = networks_near(&networks, &seed);
		if (networks_is_alias(&addr))
			continue;
		uint32_t expected = networks_find(&networks, &addr);
		if (addr.family == ADDR_V6 && !v6)
			expected = GEO_NONE;
		char text[ADDR_TEXT_MAX];
		ck_assert_msg(geo_find(geo, &addr) == expected, "%s in %s: %u, not %u",
			addr_format(&addr, text), name, geo_find(geo, &addr), expected);
		hits += expected != GEO_NONE;
	}
	ck_assert_uint_gt(hits, LOOKUPS / 4);
	struct addr none = {.family = ADDR_NONE};
	ck_assert_uint_eq(geo_find(geo, &none), GEO_NONE);
	geo_free(geo);
}

START_TEST(a_lookup_finds_the_longest_network)
{
	agree(GEO_COUNTRY, "country.mmdb", true);
	agree(GEO_COUNTRY, "country_v4.mmdb", false);
	agree(GEO_ASN, "asn.mmdb", true);
}
END_TEST

/* As tests/system/mmdb.py has them, in numbers of three widths. */
START_TEST(each_of_many_records)
{
	static const uint32_t firsts[] = {1000, 70000, 4000000000};
	struct geo *geo = load(GEO_ASN, "many_numbers.mmdb");
	for (unsigned i = 0; i < 256; i++) {
		struct addr addr = {.family = ADDR_V4, .bytes = {10, (uint8_t)i, 1, 2}};
		uint32_t expected = i < 200 ? firsts[i % 3] + i : GEO_NONE;
		ck_assert_uint_eq(geo_find(geo, &addr), expected);
	}
	geo_free(geo);
}
END_TEST

START_TEST(what_is_no_code_names_no_country)
{
	struct geo *geo = load(GEO_COUNTRY, "odd_codes.mmdb");
	for (unsigned i = 0; i < 256; i++) {
		struct addr addr = {.family = ADDR_V4, .bytes = {10, (uint8_t)i, 1, 2}};
		ck_assert_uint_eq(geo_find(geo, &addr), i == 0 ? country_of("JP") : GEO_NONE);
	}
	geo_free(geo);
}
END_TEST

START_TEST(ipv4_inside_of_ipv6)
{
	struct geo *geo = load(GEO_COUNTRY, "country.mmdb");
	struct addr six_to_four = addr_of("2002:cb00:7101::1");
	ck_assert_uint_eq(geo_find(geo, &six_to_four), country_of("JP"));
	struct addr mapped = addr_of("::ffff:203.0.113.200");
	ck_assert_uint_eq(geo_find(geo, &mapped), country_of("DE"));
	geo_free(geo);
}
END_TEST

START_TEST(knows_what_it_has)
{
	struct geo *geo = load(GEO_COUNTRY, "country.mmdb");
	ck_assert(geo_has(geo, country_of("GB")));
	ck_assert(!geo_has(geo, country_of("UK")));
	geo_free(geo);
	geo = load(GEO_ASN, "asn.mmdb");
	ck_assert(geo_has(geo, UINT32_MAX));
	ck_assert(!geo_has(geo, 1));
	geo_free(geo);
	geo_free(NULL);
}
END_TEST

struct visited {
	const struct geo *geo;
	const struct prefix *within;
	struct addr last;
	size_t count;
};

static void
on_value(void *context, const struct addr *first, uint32_t value)
{
	struct visited *visited = context;
	ck_assert(prefix_contains(visited->within, first));
	ck_assert_uint_eq(geo_find(visited->geo, first), value);
	ck_assert_uint_ne(value, GEO_NONE);
	ck_assert(visited->count == 0 ||
		  memcmp(visited->last.bytes, first->bytes, sizeof(first->bytes)) < 0);
	visited->last = *first;
	visited->count++;
}

static size_t
visit(const struct geo *geo, const char *text, size_t *steps, bool whole)
{
	struct prefix prefix;
	char why[PREFIX_WHY_MAX];
	ck_assert_int_eq(prefix_parse(&prefix, text, why), 0);
	struct visited visited = {.geo = geo, .within = &prefix};
	ck_assert(geo_visit(geo, &prefix, on_value, &visited, steps) == whole);
	return visited.count;
}

START_TEST(visits_what_a_prefix_contains)
{
	struct geo *geo = load(GEO_COUNTRY, "country.mmdb");
	size_t steps = 100000;
	ck_assert_uint_eq(visit(geo, "203.0.113.0/24", &steps, true), 2);
	ck_assert_uint_eq(visit(geo, "203.0.113.192/28", &steps, true), 1);
	ck_assert_uint_eq(visit(geo, "203.0.113.5", &steps, true), 1);
	ck_assert_uint_eq(visit(geo, "2001:db8:1::/48", &steps, true), 1);
	ck_assert_uint_eq(visit(geo, "192.0.3.0/24", &steps, true), 0);
	ck_assert_uint_gt(visit(geo, "0.0.0.0/0", &steps, true), 150);
	ck_assert_uint_gt(visit(geo, "2400::/6", &steps, true), 10);
	ck_assert_uint_gt(steps, 0);
	steps = 100;
	ck_assert_uint_gt(visit(geo, "0.0.0.0/0", &steps, false), 0);
	ck_assert_uint_eq(steps, 0);
	steps = 23;
	ck_assert_uint_eq(visit(geo, "203.0.113.0/24", &steps, false), 0);
	geo_free(geo);
}
END_TEST

START_TEST(what_is_read_is_noted)
{
	struct sources sources;
	sources_init(&sources);
	char why[GEO_WHY_MAX];
	geo_free(geo_load(GEO_ASN, MMDB_DATA "asn.mmdb", &sources, why));
	ck_assert_ptr_null(geo_load(GEO_ASN, MMDB_DATA "none.mmdb", &sources, why));
	ck_assert_uint_eq(sources.count, 2);
	struct stat st;
	ck_assert_int_eq(stat(MMDB_DATA "asn.mmdb", &st), 0);
	struct file_stamp now = file_stamp_of(&st), none = file_stamp_of(NULL);
	ck_assert(file_stamp_equal(&sources.items[0].stamp, &now));
	ck_assert(file_stamp_equal(&sources.items[1].stamp, &none));
	sources_fini(&sources);
}
END_TEST

START_TEST(what_is_no_file)
{
	static const char *const rows[][2] = {
		{MMDB_DATA "none.mmdb", "can't be read: No such file or directory"},
		{MMDB_DATA "asn.mmdb/x", "can't be read: Not a directory"},
		{MMDB_DATA, "is no regular file"},
		{"/dev/null", "is no regular file"},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char why[GEO_WHY_MAX] = "";
		ck_assert_ptr_null(geo_load(GEO_ASN, rows[i][0], NULL, why));
		ck_assert_str_eq(why, rows[i][1]);
	}
}
END_TEST

/* Broken ones. */

static size_t
count_descriptors(void)
{
	size_t count = 0;
	DIR *folder = opendir("/proc/self/fd");
	while (readdir(folder))
		count++;
	closedir(folder);
	return count;
}

static size_t
read_file(const char *path, uint8_t *bytes, size_t size)
{
	FILE *file = fopen(path, "rb");
	ck_assert_ptr_nonnull(file);
	size_t len = fread(bytes, 1, size, file);
	ck_assert_uint_lt(len, size);
	fclose(file);
	return len;
}

static void
write_file(const char *path, const uint8_t *bytes, size_t len)
{
	FILE *file = fopen(path, "wb");
	ck_assert_ptr_nonnull(file);
	ck_assert_uint_eq(fwrite(bytes, 1, len, file), len);
	ck_assert_int_eq(fclose(file), 0);
}

/* The metadata at the end and the tree at the front are hit more often than the rest. */
static size_t
mutate(uint8_t *bytes, size_t len, unsigned *seed)
{
	unsigned flips = (unsigned)rand_r(seed) % 8 + 1;
	if (rand_r(seed) % 10 == 0)
		len = (size_t)rand_r(seed) % len + 1;
	for (unsigned i = 0; i < flips; i++) {
		size_t span = rand_r(seed) % 3 && len > 400 ? 400 : len;
		size_t at = (size_t)rand_r(seed) % span;
		if (rand_r(seed) & 1)
			at = len - 1 - at;
		if (rand_r(seed) & 1)
			bytes[at] = (uint8_t)rand_r(seed);
		else
			bytes[at] ^= (uint8_t)(1 << rand_r(seed) % 8);
	}
	return len;
}

/* Either it is refused, with a reason, or lookups work. */
static bool
survive(enum geo_kind kind, const char *path, const struct networks *networks, unsigned *seed)
{
	char why[GEO_WHY_MAX] = "";
	struct geo *geo = geo_load(kind, path, NULL, why);
	ck_assert_msg(geo || why[0], "refused without a reason");
	for (unsigned i = 0; i < 100 && geo; i++) {
		struct addr addr = networks_near(networks, seed);
		geo_find(geo, &addr);
	}
	geo_free(geo);
	return geo;
}

static const struct {
	enum geo_kind kind;
	const char *name;
} mutated[] = {
	{GEO_COUNTRY, "country.mmdb"},
	{GEO_COUNTRY, "country_v4.mmdb"},
	{GEO_ASN, "asn.mmdb"},
};

START_TEST(mutants_do_no_harm)
{
	enum geo_kind kind = mutated[_i].kind;
	static uint8_t original[1 << 16], mutant[1 << 16];
	static struct networks networks;
	char path[] = "/tmp/smtplb-mutant-XXXXXX", source[128];
	unsigned seed = 7 + (unsigned)_i, usable = 0;
	snprintf(source, sizeof(source), MMDB_DATA "%s", mutated[_i].name);
	networks_read(&networks, kind);
	size_t len = read_file(source, original, sizeof(original));
	close(mkstemp(path));
	size_t descriptors = count_descriptors();
	for (unsigned i = 0; i < MUTANTS; i++) {
		memcpy(mutant, original, len);
		write_file(path, mutant, mutate(mutant, len, &seed));
		usable += survive(kind, path, &networks, &seed);
	}
	unlink(path);
	ck_assert_uint_eq(count_descriptors(), descriptors);
	ck_assert_int_eq(waitpid(-1, NULL, WNOHANG), -1); /* no child is left */
	/* Neither all nor none: the mutations reach what is looked at. */
	ck_assert_uint_gt(usable, 0);
	ck_assert_uint_lt(usable, MUTANTS);
}
END_TEST

static void
fill(TCase *cases)
{
	tcase_add_test(cases, values_as_text);
	tcase_add_test(cases, a_lookup_finds_the_longest_network);
	tcase_add_test(cases, each_of_many_records);
	tcase_add_test(cases, what_is_no_code_names_no_country);
	tcase_add_test(cases, ipv4_inside_of_ipv6);
	tcase_add_test(cases, knows_what_it_has);
	tcase_add_test(cases, visits_what_a_prefix_contains);
	tcase_add_test(cases, what_is_read_is_noted);
	tcase_add_test(cases, what_is_no_file);
	tcase_add_loop_test(
		cases, mutants_do_no_harm, 0, (int)(sizeof(mutated) / sizeof(mutated[0])));
}

UNIT_MAIN("geo", fill)

/*
 * A database whose reader goes wild: in the child runs, in the place of mmdb_write, what the test
 * says. Of what comes through the pipe only what is sound may be taken. And files that don't come
 * that far.
 */
#include "acl/geo.h"
#include "acl/mmdb.h"
#include "acl/trial.h"
#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#define JP ((uint32_t)'J' << 8 | 'P')

enum {
	FILE_SIZE = 60, /* of ten nodes at most */
};

static char path[] = "/tmp/smtplb-geo-load-XXXXXX";

/* What the child writes: this, but for its last bytes. */
static struct {
	struct mmdb_header header;
	struct geo_node nodes[2];
	uint32_t values[2];
} table;
static size_t cut;
static const char *regret; /* what it says then, NULL = nothing */

int
mmdb_write(enum geo_kind kind, const char *file, int out, char why[GEO_WHY_MAX])
{
	(void)kind;
	(void)file;
	if (trial_write(out, &table, sizeof(table) - cut) < 0)
		return -1;
	snprintf(why, GEO_WHY_MAX, "%s", regret ? regret : "");
	return regret ? -1 : 0;
}

static int fstat_error; /* 0 = none */

int
fstat(int fd, struct stat *st)
{
	if (!fstat_error)
		return fstatat(fd, "", st, AT_EMPTY_PATH);
	errno = fstat_error;
	return -1;
}

static void
begin(void)
{
	memcpy(strrchr(path, '-'), "-XXXXXX", 7);
	int file = mkstemp(path);
	ck_assert_int_ge(file, 0);
	ck_assert_int_eq(ftruncate(file, FILE_SIZE), 0);
	close(file);
	table.header = (struct mmdb_header){2, 2, {0, GEO_LEAF | 1}};
	table.nodes[0] = (struct geo_node){{1, GEO_LEAF}};
	table.nodes[1] = (struct geo_node){{GEO_LEAF | 1, GEO_LEAF}};
	table.values[0] = GEO_NONE;
	table.values[1] = JP;
	cut = 0;
	regret = NULL;
	fstat_error = 0;
}

static void
end(void)
{
	unlink(path);
}

static struct geo *
load(char why[GEO_WHY_MAX])
{
	why[0] = '\0';
	return geo_load(GEO_COUNTRY, path, NULL, why);
}

static uint32_t
value_at(const struct geo *geo, const char *text)
{
	struct addr addr;
	ck_assert_int_eq(addr_parse(&addr, text), 0);
	return geo_find(geo, &addr);
}

START_TEST(what_is_sound_is_taken)
{
	char why[GEO_WHY_MAX];
	struct geo *geo = load(why);
	ck_assert_msg(geo, "%s", why);
	ck_assert_uint_eq(value_at(geo, "63.255.255.255"), JP);
	ck_assert_uint_eq(value_at(geo, "64.0.0.0"), GEO_NONE);
	ck_assert_uint_eq(value_at(geo, "128.0.0.0"), GEO_NONE);
	ck_assert_uint_eq(value_at(geo, "2001:db8::"), JP);
	geo_free(geo);
}
END_TEST

static const struct {
	uint32_t *field;
	uint32_t value;
} wild[] = {
	{&table.header.node_count, FILE_SIZE / 6 + 1},
	{&table.header.node_count, UINT32_MAX},
	{&table.header.node_count, 1},
	{&table.header.node_count, 0},
	{&table.header.value_count, FILE_SIZE + 1},
	{&table.header.value_count, UINT32_MAX},
	{&table.header.value_count, 1},
	{&table.header.value_count, 0},
	{&table.header.roots[0], 2},
	{&table.header.roots[0], GEO_LEAF | 2},
	{&table.header.roots[1], 2},
	{&table.header.roots[1], UINT32_MAX},
	{&table.nodes[0].link[0], 2},
	{&table.nodes[0].link[1], GEO_LEAF | 2},
	{&table.nodes[1].link[0], GEO_LEAF | 2},
	{&table.nodes[1].link[1], GEO_LEAF - 1},
	{&table.values[0], JP},
};

START_TEST(what_is_not_is_refused)
{
	char why[GEO_WHY_MAX];
	*wild[_i].field = wild[_i].value;
	ck_assert_ptr_null(load(why));
	ck_assert_str_eq(why, "makes its reader go wrong; get it anew");
}
END_TEST

START_TEST(what_is_not_whole_is_refused)
{
	for (cut = 1; cut <= sizeof(table); cut++) {
		char why[GEO_WHY_MAX];
		ck_assert_ptr_null(load(why));
		ck_assert_str_eq(why, "makes its reader go wrong; get it anew");
	}
}
END_TEST

START_TEST(a_whole_table_of_a_reader_that_failed_is_refused)
{
	char why[GEO_WHY_MAX];
	regret = "is not what it seems";
	ck_assert_ptr_null(load(why));
	ck_assert_str_eq(why, "is not what it seems");
}
END_TEST

static void
on_value(void *context, const struct addr *first, uint32_t value)
{
	(void)first;
	(void)value;
	++*(unsigned *)context;
}

/* No way out of it: a lookup and a visit end all the same. */
START_TEST(a_loop_does_no_harm)
{
	char why[GEO_WHY_MAX];
	struct prefix host, net;
	unsigned visits = 0;
	size_t steps = 1000;
	table.nodes[0] = table.nodes[1] = (struct geo_node){{1, 0}};
	table.header.roots[1] = 0;
	struct geo *geo = load(why);
	ck_assert_msg(geo, "%s", why);
	ck_assert_uint_eq(value_at(geo, "203.0.113.1"), GEO_NONE);
	ck_assert_uint_eq(value_at(geo, "2001:db8::1"), GEO_NONE);
	ck_assert_int_eq(prefix_parse(&host, "203.0.113.1", why), 0);
	ck_assert(!geo_visit(geo, &host, on_value, &visits, &steps));
	ck_assert_uint_eq(steps, 1000 - 32);
	ck_assert_int_eq(prefix_parse(&net, "203.0.113.0/24", why), 0);
	ck_assert(!geo_visit(geo, &net, on_value, &visits, &steps));
	ck_assert_uint_eq(visits, 0);
	geo_free(geo);
}
END_TEST

START_TEST(sizes)
{
	static const struct {
		off_t size;
		const char *why; /* NULL: it is read */
	} rows[] = {
		{0, "is empty"},
		{12, NULL},
		{11, "makes its reader go wrong; get it anew"}, /* for two nodes */
		{(off_t)2 << 30, NULL},
		{((off_t)2 << 30) + 1, "is larger than 2 GB"},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char why[GEO_WHY_MAX];
		ck_assert_int_eq(truncate(path, rows[i].size), 0);
		struct geo *geo = load(why);
		ck_assert_msg(!geo == !!rows[i].why, "row %zu: %s", i, why);
		if (!geo)
			ck_assert_str_eq(why, rows[i].why);
		geo_free(geo);
	}
}
END_TEST

START_TEST(a_file_that_can_not_be_asked)
{
	char why[GEO_WHY_MAX];
	fstat_error = EIO;
	ck_assert_ptr_null(load(why));
	ck_assert_str_eq(why, "can't be read: Input/output error");
}
END_TEST

/* One is left, for the file; the child's pipe would need two. */
START_TEST(too_few_descriptors)
{
	char why[GEO_WHY_MAX];
	struct rlimit before, limit;
	int next = dup(0);
	ck_assert_int_ge(next, 0);
	close(next);
	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &before), 0);
	limit = before;
	limit.rlim_cur = (rlim_t)next + 1;
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
	struct geo *geo = load(why);
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &before), 0);
	ck_assert_ptr_null(geo);
	ck_assert_str_eq(why, "can't be read in a process of its own: Too many open files");
}
END_TEST

static void
fill(TCase *cases)
{
	tcase_add_checked_fixture(cases, begin, end);
	tcase_add_test(cases, what_is_sound_is_taken);
	tcase_add_loop_test(
		cases, what_is_not_is_refused, 0, (int)(sizeof(wild) / sizeof(wild[0])));
	tcase_add_test(cases, what_is_not_whole_is_refused);
	tcase_add_test(cases, a_whole_table_of_a_reader_that_failed_is_refused);
	tcase_add_test(cases, a_loop_does_no_harm);
	tcase_add_test(cases, sizes);
	tcase_add_test(cases, a_file_that_can_not_be_asked);
	tcase_add_test(cases, too_few_descriptors);
}

UNIT_MAIN("geo_load", fill)

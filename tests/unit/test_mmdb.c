/*
 * The reader of databases in this process: files that go away between the look at them and the
 * reading, and a table that can't be handed over. What it reads is held to its source in
 * test_geo.c, and broken ones are in tests/system/test_geo.py.
 */
#include "acl/mmdb.h"
#include "tests/unit/geo_networks.h"
#include "tests/unit/unit.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

static char path[] = "/tmp/smtplb-mmdb-XXXXXX";
static int out;

static void
begin(void)
{
	memcpy(strrchr(path, '-'), "-XXXXXX", 7);
	out = mkstemp(path);
	ck_assert_int_ge(out, 0);
}

static void
end(void)
{
	close(out);
	unlink(path);
}

START_TEST(what_can_not_be_read)
{
	static const char *const rows[][2] = {
		{MMDB_DATA "none.mmdb", "can't be read: No such file or directory"},
		{MMDB_DATA "asn.mmdb/x", "can't be read: Not a directory"},
		{MMDB_DATA, "can't be read: No such device"},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char why[GEO_WHY_MAX] = "";
		ck_assert_int_eq(mmdb_write(GEO_ASN, rows[i][0], out, why), -1);
		ck_assert_str_eq(why, rows[i][1]);
		ck_assert_int_eq(lseek(out, 0, SEEK_CUR), 0);
	}
}
END_TEST

/* Writes a table into a file that may have so many bytes. */
static int
write_within(rlim_t size, char why[GEO_WHY_MAX])
{
	struct rlimit before, limit;
	ck_assert_int_eq(ftruncate(out, 0), 0);
	ck_assert_int_eq(lseek(out, 0, SEEK_SET), 0);
	ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &before), 0);
	limit = before;
	limit.rlim_cur = size;
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
	int result = mmdb_write(GEO_COUNTRY, MMDB_DATA "country_v4.mmdb", out, why);
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &before), 0);
	return result;
}

/* Neither the header, nor the nodes, nor the values may fail unseen, at any of their bytes. */
START_TEST(what_can_not_be_handed_over)
{
	char why[GEO_WHY_MAX] = "";
	struct stat st;
	struct mmdb_header header;
	signal(SIGXFSZ, SIG_IGN);
	ck_assert_int_eq(write_within(RLIM_INFINITY, why), 0);
	ck_assert_int_eq(fstat(out, &st), 0);
	ck_assert_int_eq(pread(out, &header, sizeof(header), 0), sizeof(header));
	size_t nodes_end = sizeof(header) + header.node_count * sizeof(struct geo_node);
	size_t whole = nodes_end + header.value_count * sizeof(uint32_t);
	ck_assert_uint_eq((size_t)st.st_size, whole);
	const size_t sizes[] = {0, 1, sizeof(header) - 1, sizeof(header), sizeof(header) + 1,
		nodes_end - 1, nodes_end, nodes_end + 1, whole - 1};
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		why[0] = '\0';
		ck_assert_int_eq(write_within(sizes[i], why), -1);
		ck_assert_str_eq(why, "can't be handed over: File too large");
		ck_assert_int_eq(lseek(out, 0, SEEK_CUR), (off_t)sizes[i]);
	}
	ck_assert_int_eq(write_within(whole, why), 0);
}
END_TEST

static void
fill(TCase *cases)
{
	tcase_add_checked_fixture(cases, begin, end);
	tcase_add_test(cases, what_can_not_be_read);
	tcase_add_test(cases, what_can_not_be_handed_over);
}

UNIT_MAIN("mmdb", fill)

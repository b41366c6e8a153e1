/*
 * Lists on the disk that are odd: that grow, fail or find no memory while they are read, lie on
 * another device, keep a descriptor, or include one another by names that are too long to tell.
 */
#include "acl/list.h"
#include "acl/mem.h"
#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum {
	FILES = 8,
	NAME_LEN = 200, /* so that the names of a chain are longer than what is told of it */
};

static char folder[] = "/tmp/smtplb-list-odd-XXXXXX";
static struct report report;
static char rules[1024]; /* "PREFIX " each */

static enum {
	READ_AS_IT_IS,
	READ_MORE, /* whatever is asked for comes */
	READ_FAILS,
} reading;

ssize_t
read(int fd, void *bytes, size_t len)
{
	if (reading == READ_AS_IT_IS)
		return syscall(SYS_read, fd, bytes, len);
	errno = EIO;
	return reading == READ_MORE ? (ssize_t)len : -1;
}

static unsigned spared = UINT_MAX; /* so many allocations, then there is no memory */

void *
reallocarray(void *block, size_t count, size_t size)
{
	if (spared-- > 0)
		return realloc(block, count * size);
	spared = 0;
	errno = ENOMEM;
	return NULL;
}

static void
set_up(void)
{
	memcpy(strrchr(folder, '-'), "-XXXXXX", 7);
	ck_assert_ptr_nonnull(mkdtemp(folder));
	ck_assert_int_eq(chdir(folder), 0);
	report_init(&report);
	rules[0] = '\0';
	reading = READ_AS_IT_IS;
	spared = UINT_MAX;
}

static const char *
long_name(unsigned i)
{
	static char name[NAME_LEN + 1];
	memset(name, 'a' + (int)i, NAME_LEN);
	return name;
}

static void
tear_down(void)
{
	report_fini(&report);
	for (unsigned i = 0; i < FILES; i++)
		unlink(long_name(i));
	unlink("list");
	ck_assert_int_eq(chdir("/"), 0);
	ck_assert_int_eq(rmdir(folder), 0);
}

static void
write_file(const char *name, const char *text)
{
	FILE *file = fopen(name, "w");
	ck_assert_ptr_nonnull(file);
	fputs(text, file);
	ck_assert_int_eq(fclose(file), 0);
}

static void
on_rule(void *context, const struct acl_rule *rule)
{
	(void)context;
	char text[PREFIX_TEXT_MAX];
	size_t len = strlen(rules);
	snprintf(rules + len, sizeof(rules) - len, "%s ", prefix_format(&rule->prefix, text));
}

static void
load(const char *path)
{
	static const struct list_handler handler = {.rule = on_rule};
	list_load(LIST_MYNETWORKS, path, ACL_ALLOW, "conf", 9, &handler, NULL, &report);
}

START_TEST(one_that_grows)
{
	write_file("list", "");
	ck_assert_int_eq(truncate("list", LIST_BYTES_MAX), 0);
	reading = READ_MORE;
	load("list");
	reading = READ_AS_IT_IS;
	ck_assert_uint_eq(report.count, 1);
	ck_assert_str_eq(report.entries[0].text,
		"conf:9: can't read the list list: grows past 256 MB while being read");
}
END_TEST

START_TEST(one_that_can_not_be_read)
{
	write_file("list", "192.0.2.1\n");
	reading = READ_FAILS;
	load("list");
	reading = READ_AS_IT_IS;
	ck_assert_uint_eq(report.count, 1);
	ck_assert_str_eq(
		report.entries[0].text, "conf:9: can't read the list list: Input/output error");
	ck_assert_str_eq(rules, "");
}
END_TEST

/* In /proc every file says that it is empty, so that there must be room for more of it. */
START_TEST(one_that_finds_no_memory)
{
	report_warning(&report, "conf", 1, "so that the report has room");
	ck_assert_int_eq(mem_load_begin(), 0);
	spared = (unsigned)_i;
	load("/proc/version");
	spared = UINT_MAX;
	ck_assert_uint_eq(report.count, 2);
	ck_assert_str_eq(report.entries[1].text,
		"conf:9: can't read the list /proc/version: Cannot allocate memory");
	ck_assert_int_eq(mem_load_end(), -1);
}
END_TEST

/* Each has its inode of a device of its own. */
START_TEST(one_on_another_device)
{
	char text[64];
	struct stat here, there;
	int file = memfd_create("list", 0);
	ck_assert_int_eq(write(file, "192.0.2.2\n", 10), 10);
	snprintf(text, sizeof(text), "192.0.2.1 /proc/self/fd/%d 192.0.2.3\n", file);
	write_file("list", text);
	ck_assert_int_eq(stat("list", &here), 0);
	ck_assert_int_eq(fstat(file, &there), 0);
	ck_assert_uint_ne(here.st_dev, there.st_dev);
	load("list");
	ck_assert_uint_eq(report.count, 0);
	ck_assert_str_eq(rules, "192.0.2.1/32 192.0.2.2/32 192.0.2.3/32 ");
	close(file);
}
END_TEST

START_TEST(a_loop_that_is_too_long_to_tell)
{
	char text[sizeof(folder) + NAME_LEN + 8], first[sizeof(text) + 32];
	for (unsigned i = 0; i < FILES; i++) {
		snprintf(text, sizeof(text), "%s/%s\n", folder, long_name((i + 1) % FILES));
		write_file(long_name(i), text);
	}
	snprintf(text, sizeof(text), "%s/%s", folder, long_name(0));
	load(text);
	ck_assert_uint_eq(report.count, 1);
	const char *said = report.entries[0].text;
	snprintf(first, sizeof(first), ":1: an include loop: %s includes ", text);
	ck_assert_ptr_nonnull(strstr(said, first));
	snprintf(first, sizeof(first), "%s; take out one of these includes", text);
	ck_assert_ptr_nonnull(strstr(said, first));
	ck_assert_uint_lt(strlen(said), FILES * NAME_LEN);
	ck_assert_str_eq(rules, "");
}
END_TEST

/* Whatever becomes of a file, its descriptor is given back; the lowest one is as good as any. */
START_TEST(descriptors)
{
	char path[64];
	snprintf(path, sizeof(path), "%s/list", folder);
	write_file("list", "203.0.113.0/24\n/nowhere\nnonsense\n/tmp\n");
	close(STDIN_FILENO);
	load(path);
	ck_assert_str_eq(rules, "203.0.113.0/24 ");
	reading = READ_FAILS;
	load(path);
	reading = READ_AS_IT_IS;
	snprintf(rules, sizeof(rules), "%s/list %s/list\n", folder, folder);
	write_file("list", rules);
	load(path); /* a loop: it is met again */
	ck_assert_int_eq(open("/dev/null", O_RDONLY), STDIN_FILENO);
	ck_assert_uint_ge(report.errors, 5);
}
END_TEST

static void
fill(TCase *cases)
{
	tcase_add_checked_fixture(cases, set_up, tear_down);
	tcase_add_test(cases, one_that_grows);
	tcase_add_test(cases, one_that_can_not_be_read);
	tcase_add_loop_test(cases, one_that_finds_no_memory, 0, 4);
	tcase_add_test(cases, one_on_another_device);
	tcase_add_test(cases, a_loop_that_is_too_long_to_tell);
	tcase_add_test(cases, descriptors);
}

UNIT_MAIN("list_odd", fill)

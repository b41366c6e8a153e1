/*
 * The record of files read, with real files: what is noted first stays, and every change shows.
 */
#include "acl/sources.h"

#include "tests/unit/unit.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[] = "/tmp/test_sources.XXXXXX";

static void
enter_folder(void)
{
	ck_assert_ptr_nonnull(mkdtemp(folder));
	ck_assert_int_eq(chdir(folder), 0);
}

static void
leave_folder(void)
{
	static const char *const names[] = {"list", "other", "link", "new"};
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		unlink(names[i]);
	ck_assert_int_eq(chdir("/"), 0);
	ck_assert_int_eq(rmdir(folder), 0);
}

static void
write_file(const char *path, const char *text)
{
	FILE *file = fopen(path, "w");
	ck_assert_ptr_nonnull(file);
	fputs(text, file);
	ck_assert_int_eq(fclose(file), 0);
}

/* Until the file system's clock has moved on: the kernel's times are as coarse as its tick. */
static void
write_later(const char *path, const char *text)
{
	struct file_stamp before = file_stamp_read(path), now = before;
	while (file_stamp_equal(&before, &now)) {
		write_file(path, text);
		now = file_stamp_read(path);
	}
}

static void
change_in_place(void)
{
	write_later("list", "wxyz");
}

static void
change_by_rename(void)
{
	write_file("new", "abcd");
	ck_assert_int_eq(rename("new", "list"), 0);
}

static void
change_link(void)
{
	ck_assert_int_eq(unlink("link"), 0);
	ck_assert_int_eq(symlink("other", "link"), 0);
}

static void
change_behind_link(void)
{
	write_later("list", "wxyz");
}

static void
change_by_removal(void)
{
	ck_assert_int_eq(unlink("list"), 0);
}

static const struct {
	const char *path;
	void (*change)(void);
} changes[] = {
	{"list", change_in_place},
	{"list", change_by_rename},
	{"list", change_by_removal},
	{"link", change_link},
	{"link", change_behind_link},
	{"link", change_by_removal},
};

START_TEST(change_shows)
{
	struct sources sources;
	struct stat st;
	write_file("list", "abcd");
	write_file("other", "abcd");
	ck_assert_int_eq(symlink("list", "link"), 0);
	int fd = open(changes[_i].path, O_RDONLY);
	ck_assert_int_eq(fstat(fd, &st), 0);
	close(fd);
	sources_init(&sources);
	sources_add(&sources, changes[_i].path, &st);
	ck_assert(sources_are_unchanged(&sources));
	changes[_i].change();
	ck_assert(!sources_are_unchanged(&sources));
	/* What is noted again keeps its first stamp. */
	sources_add(&sources, changes[_i].path, NULL);
	ck_assert_uint_eq(sources.count, 1);
	ck_assert(!sources_are_unchanged(&sources));
	sources_fini(&sources);
	ck_assert_uint_eq(sources.count, 0);
}
END_TEST

/* A file that isn't there, and one that is there and can't be opened. */
START_TEST(without_a_descriptor)
{
	struct sources sources;
	struct file_stamp none = file_stamp_of(NULL);
	write_file("list", "abcd");
	sources_init(&sources);
	sources_add(&sources, "new", NULL);
	sources_add(&sources, "list", NULL);
	ck_assert(file_stamp_equal(&sources.items[0].stamp, &none));
	ck_assert(!file_stamp_equal(&sources.items[1].stamp, &none));
	ck_assert(sources_are_unchanged(&sources));
	write_file("new", "abcd");
	ck_assert(!sources_are_unchanged(&sources));
	sources_fini(&sources);
}
END_TEST

START_TEST(agree)
{
	struct file_stamp one = {.inode = 1}, two = {.inode = 2};
	struct sources a, b;
	sources_init(&a);
	sources_init(&b);
	ck_assert(sources_agree(&a, &b));
	sources_note(&a, "/a", &one);
	sources_note(&a, "/both", &one);
	ck_assert(sources_agree(&a, &b));
	sources_note(&b, "/b", &two);
	ck_assert(sources_agree(&a, &b));
	sources_note(&b, "/both", &one);
	ck_assert(sources_agree(&a, &b) && sources_agree(&b, &a));
	sources_note(&b, "/a", &two);
	ck_assert(!sources_agree(&a, &b) && !sources_agree(&b, &a));
	sources_fini(&a);
	sources_fini(&b);
}
END_TEST

static void
fill(TCase *cases)
{
	tcase_add_checked_fixture(cases, enter_folder, leave_folder);
	tcase_add_loop_test(cases, change_shows, 0, sizeof(changes) / sizeof(changes[0]));
	tcase_add_test(cases, without_a_descriptor);
	tcase_add_test(cases, agree);
}

UNIT_MAIN("sources", fill)

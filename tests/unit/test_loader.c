/*
 * What the loader's caller is told: a configuration, its lists read again, a refusal with the files
 * that it read, and files that were overtaken.
 */
#include "lb/loader.h"

#include "tests/unit/unit.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[] = "/tmp/test_loader.XXXXXX";
static char list_path[64], conf_path[64], conf_text[512];

struct told {
	unsigned count;
	struct snapshot *snapshot; /* the last; for the test to unref */
	char changed[64];
	bool overtaken;
	size_t errors;
	size_t refused; /* files */
};

static struct ev_loop *loop;
static struct told told;
static struct loader *loader;

static void
write_file(const char *path, const char *text)
{
	FILE *file = fopen(path, "w");
	ck_assert_ptr_nonnull(file);
	fputs(text, file);
	ck_assert_int_eq(fclose(file), 0);
}

/* What somebody writes into the list when its stamp is looked at next; NULL = nothing. */
static const char *writes_before_a_look;

int
stat(const char *restrict path, struct stat *restrict st)
{
	const char *text = writes_before_a_look;
	writes_before_a_look = NULL;
	if (text)
		write_file(list_path, text);
	return fstatat(AT_FDCWD, path, st, 0);
}

static void
on_loaded(void *context, const struct loaded *loaded)
{
	(void)context;
	told = (struct told){
		.count = told.count + 1,
		.snapshot = loaded->snapshot,
		.overtaken = loaded->overtaken,
		.errors = loaded->report->errors,
		.refused = loaded->refused.count,
	};
	snprintf(told.changed, sizeof(told.changed), "%s", loaded->changed ? loaded->changed : "");
}

static void
begin(void)
{
	ck_assert_ptr_nonnull(mkdtemp(folder));
	snprintf(list_path, sizeof(list_path), "%s/list", folder);
	snprintf(conf_path, sizeof(conf_path), "%s/smtplb.conf", folder);
	snprintf(conf_text, sizeof(conf_text),
		"user = \"\"\n"
		"acl senders { allow = { file:%s } }\n"
		"pool relays { proxy_protocol = v2 backend one { address = 127.0.0.1 } }\n"
		"listener smtp { bind = 127.0.0.1:25 acl = senders pool = relays }\n",
		list_path);
	write_file(list_path, "127.0.0.1\n");
	write_file(conf_path, conf_text);
	loop = ev_loop_new(0);
	loader = loader_new(loop, conf_path, on_loaded, NULL);
	ck_assert_ptr_nonnull(loader);
}

static void
end(void)
{
	loader_free(loader);
	ev_loop_destroy(loop);
	unlink(list_path);
	unlink(conf_path);
	rmdir(folder);
}

/* Runs the loop until one more outcome was told. */
static void
await_outcome(void)
{
	unsigned before = told.count;
	while (told.count == before)
		ev_run(loop, EVRUN_ONCE);
}

static struct snapshot *
load_first(void)
{
	ck_assert_int_eq(loader_start(loader), 0);
	await_outcome();
	ck_assert_ptr_nonnull(told.snapshot);
	ck_assert_str_eq(told.changed, "");
	return told.snapshot;
}

static void
read_again(struct snapshot *snapshot, const struct file_stamp *stamp)
{
	struct sources seen;
	sources_init(&seen);
	sources_note(&seen, list_path, stamp);
	ck_assert_int_eq(loader_read_again(loader, snapshot, list_path, &seen), 0);
	ck_assert_ptr_null(seen.items);
	ck_assert_int_eq(loader_read_again(loader, snapshot, list_path, &seen), -1);
	ck_assert_int_eq(errno, EBUSY);
	await_outcome();
	ck_assert_str_eq(told.changed, list_path);
}

static bool
is_allowed(const struct snapshot *snapshot, const char *text)
{
	struct addr addr;
	ck_assert_int_eq(addr_parse(&addr, text), 0);
	return acl_decide(snapshot->acls[0], &addr).allowed;
}

START_TEST(list_is_read_again)
{
	struct snapshot *first = load_first();
	write_file(list_path, "127.0.0.22\n");
	write_file(conf_path, "nonsense\n"); /* nobody reads it */
	struct file_stamp stamp = file_stamp_read(list_path);
	read_again(first, &stamp);
	ck_assert(!told.overtaken);
	ck_assert_ptr_nonnull(told.snapshot);
	ck_assert(is_allowed(told.snapshot, "127.0.0.22") && !is_allowed(first, "127.0.0.22"));
	snapshot_unref(told.snapshot);
	snapshot_unref(first);
}
END_TEST

START_TEST(refusal_tells_what_it_read)
{
	struct snapshot *first = load_first();
	char text[128];
	snprintf(text, sizeof(text), "127.0.0.1\n%s/missing\n", folder);
	write_file(list_path, text);
	struct file_stamp stamp = file_stamp_read(list_path);
	read_again(first, &stamp);
	ck_assert(!told.overtaken);
	ck_assert_ptr_null(told.snapshot);
	ck_assert_uint_eq(told.errors, 1);
	ck_assert_uint_eq(told.refused, 2);
	snapshot_unref(first);
}
END_TEST

/* Good or bad, what was read is not what was quiet. */
START_TEST(overtaken)
{
	struct snapshot *first = load_first();
	write_file(list_path, _i ? "127.0.0.x\n" : "127.0.0.22\n");
	struct file_stamp stamp = file_stamp_read(list_path);
	stamp.size++;
	read_again(first, &stamp);
	ck_assert(told.overtaken);
	ck_assert_ptr_null(told.snapshot);
	snapshot_unref(first);
}
END_TEST

/* What was read is what was quiet, but no longer what is there. */
START_TEST(overtaken_once_it_was_read)
{
	struct snapshot *first = load_first();
	write_file(list_path, "127.0.0.22\n");
	struct file_stamp stamp = file_stamp_read(list_path);
	writes_before_a_look = "127.0.0.222\n";
	read_again(first, &stamp);
	ck_assert(told.overtaken);
	ck_assert_ptr_null(told.snapshot);
	snapshot_unref(first);
}
END_TEST

/* The file is loaded after the lists, whoever came first, and once for any number of wishes. */
START_TEST(file_is_loaded_after_a_load)
{
	struct snapshot *first = load_first();
	struct sources seen;
	sources_init(&seen);
	ck_assert_int_eq(loader_read_again(loader, first, list_path, &seen), 0);
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(loader_start(loader), 0);
	await_outcome();
	ck_assert_str_eq(told.changed, list_path);
	snapshot_unref(told.snapshot);
	await_outcome();
	ck_assert_str_eq(told.changed, "");
	ck_assert_ptr_nonnull(told.snapshot);
	snapshot_unref(told.snapshot);
	ck_assert_uint_eq(told.count, 3);
	/* None is under way. */
	ck_assert_int_eq(loader_read_again(loader, first, list_path, &seen), 0);
	await_outcome();
	snapshot_unref(told.snapshot);
	snapshot_unref(first);
}
END_TEST

static size_t
count_threads(void)
{
	size_t count = 0;
	DIR *threads = opendir("/proc/self/task");
	ck_assert_ptr_nonnull(threads);
	for (const struct dirent *entry; (entry = readdir(threads)) != NULL;)
		count += entry->d_name[0] != '.';
	closedir(threads);
	return count;
}

/* The loader is freed while its thread still reads, or when it is through and nobody was told:
 * what it leaves behind is for LeakSanitizer to find. */
START_TEST(freed_with_a_load)
{
	snapshot_unref(load_first());
	size_t threads = count_threads();
	unlink(conf_path);
	ck_assert_int_eq(mkfifo(conf_path, 0600), 0);
	ck_assert_int_eq(loader_start(loader), 0);
	FILE *conf = fopen(conf_path, "w"); /* once the thread reads */
	ck_assert_ptr_nonnull(conf);
	if (_i == 0)
		loader_free(loader);
	fputs(conf_text, conf);
	ck_assert_int_eq(fclose(conf), 0);
	while (count_threads() > threads)
		sched_yield();
	if (_i == 1)
		loader_free(loader);
	ck_assert_uint_eq(told.count, 1);
	loader = loader_new(loop, conf_path, on_loaded, NULL);
}
END_TEST

static void
fill(TCase *cases)
{
	tcase_add_checked_fixture(cases, begin, end);
	tcase_add_test(cases, list_is_read_again);
	tcase_add_test(cases, refusal_tells_what_it_read);
	tcase_add_loop_test(cases, overtaken, 0, 2);
	tcase_add_test(cases, overtaken_once_it_was_read);
	tcase_add_test(cases, file_is_loaded_after_a_load);
	tcase_add_loop_test(cases, freed_with_a_load, 0, 2);
}

UNIT_MAIN("loader", fill)

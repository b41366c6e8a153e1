/*
 * When files count as changed: every way in which a file can differ, the quiet second, and what was
 * offered already. Rows of looks; the clock is the test's.
 */
#include "lb/watch.h"

#include "tests/unit/unit.h"

#include <string.h>

enum {
	FILES = 2,
};

/* The stamp of a file's version; 0 = there is no file. */
static struct file_stamp
version(unsigned number)
{
	if (number == 0)
		return (struct file_stamp){.size = 0};
	return (struct file_stamp){.device = 1, .inode = 2, .size = number};
}

static struct watch *
watch_files(void)
{
	struct sources sources;
	struct file_stamp one = version(1);
	sources_init(&sources);
	sources_note(&sources, "/a", &one);
	sources_note(&sources, "/b", &one);
	struct watch *watch = watch_new(&sources);
	sources_fini(&sources);
	ck_assert_uint_eq(watch->count, FILES);
	return watch;
}

static const char *
look(struct watch *watch, uint64_t began_ms, uint64_t ended_ms, unsigned a, unsigned b)
{
	struct file_stamp stamps[FILES] = {version(a), version(b)};
	for (size_t i = 0; i < FILES; i++)
		watch_see(watch, i, &stamps[i]);
	return watch_due(watch, began_ms, ended_ms);
}

struct row {
	uint64_t began_ms, ended_ms; /* 0 ends the rows */
	unsigned a, b;               /* versions */
	const char *due;             /* NULL = nothing */
	void (*then)(struct watch *watch);
};

static void
again(struct watch *watch)
{
	watch_again(watch);
}

#define QUIET(ms, a, b)                  \
	{                                \
		ms, ms, a, b, NULL, NULL \
	}
#define DUE(ms, a, b, path)              \
	{                                \
		ms, ms, a, b, path, NULL \
	}
#define AGAIN(ms, a, b, path)             \
	{                                 \
		ms, ms, a, b, path, again \
	}
#define ROWS(...)                     \
	{                             \
		__VA_ARGS__,          \
		{                     \
			.began_ms = 0 \
		}                     \
	}

static const struct row scripts[][12] = {
	/* Nothing changes. */
	ROWS(QUIET(1000, 1, 1), QUIET(2000, 1, 1), QUIET(9000, 1, 1)),
	/* One file, and once only. */
	ROWS(QUIET(1000, 2, 1), DUE(2000, 2, 1, "/a"), QUIET(3000, 2, 1), QUIET(9000, 2, 1)),
	ROWS(QUIET(1000, 1, 2), DUE(2000, 1, 2, "/b"), QUIET(3000, 1, 2)),
	/* A millisecond too early; the second counts from the end of the look that saw it to the
	 * beginning of the one that finds it quiet, however long they took. */
	ROWS(QUIET(1000, 2, 1), QUIET(1999, 2, 1), DUE(2000, 2, 1, "/a")),
	ROWS({1000, 1500, 2, 1, NULL, NULL}, {2499, 9000, 2, 1, NULL, NULL}, DUE(9001, 2, 1, "/a")),
	/* It moves on, and each time the second begins anew. */
	ROWS(QUIET(1000, 2, 1), QUIET(2000, 3, 1), QUIET(3000, 4, 1), QUIET(3999, 4, 1),
		DUE(4000, 4, 1, "/a")),
	/* The other one moves: a load would read that too. */
	ROWS(QUIET(1000, 2, 1), QUIET(2000, 2, 2), QUIET(3000, 2, 3), DUE(4000, 2, 3, "/a"),
		QUIET(5000, 2, 3)),
	/* There and back: nothing to load. */
	ROWS(QUIET(1000, 2, 1), QUIET(2000, 1, 1), QUIET(3000, 1, 1), QUIET(4000, 1, 1)),
	/* Gone is a change, and so is its return after that was tried, even as it was. */
	ROWS(QUIET(1000, 0, 1), DUE(2000, 0, 1, "/a"), QUIET(3000, 0, 1), QUIET(4000, 1, 1),
		DUE(5000, 1, 1, "/a"), QUIET(6000, 1, 1)),
	/* What could not be loaded is offered again, until it can. */
	ROWS(QUIET(1000, 1, 2), AGAIN(2000, 1, 2, "/b"), AGAIN(3000, 1, 2, "/b"),
		DUE(4000, 1, 2, "/b"), QUIET(5000, 1, 2)),
	/* ... once it is quiet. */
	ROWS(QUIET(1000, 1, 2), AGAIN(2000, 1, 2, "/b"), QUIET(3000, 1, 3), QUIET(3500, 1, 3),
		DUE(4000, 1, 3, "/b")),
	/* Nothing was left to load. */
	ROWS(AGAIN(1000, 1, 1, NULL), QUIET(2000, 1, 1), QUIET(3000, 1, 1)),
};

START_TEST(script)
{
	struct watch *watch = watch_files();
	for (const struct row *row = scripts[_i]; row->began_ms > 0; row++) {
		const char *due = look(watch, row->began_ms, row->ended_ms, row->a, row->b);
		ck_assert_msg(due ? row->due && strcmp(due, row->due) == 0 : !row->due,
			"script %d, look at %d: due is %s", _i, (int)row->began_ms,
			due ? due : "nothing");
		if (row->then)
			row->then(watch);
	}
	watch_free(watch);
}
END_TEST

/* Each field by itself. */
START_TEST(every_field_counts)
{
	struct file_stamp all[] = {
		version(1), version(1), version(1), version(1), version(1), version(1), version(1)};
	all[0].device++;
	all[1].inode++;
	all[2].size++;
	all[3].modified.tv_sec++;
	all[4].modified.tv_nsec++;
	all[5].changed.tv_sec++;
	all[6].changed.tv_nsec++;
	struct watch *watch = watch_files();
	watch_see(watch, 0, &all[_i]);
	ck_assert_ptr_null(watch_due(watch, 1000, 1000));
	watch_see(watch, 0, &all[_i]);
	ck_assert_str_eq(watch_due(watch, 2000, 2000), "/a");
	watch_free(watch);
}
END_TEST

/* A refused load had read a file more: its change is one too, until another refusal did not read
 * it, and it starts as it was read, not as the next look sees it. */
START_TEST(refused)
{
	struct sources read;
	struct file_stamp bad = version(1), good = version(2), gone = version(0);
	struct watch *watch = watch_files();
	ck_assert_ptr_null(look(watch, 1000, 1000, 2, 1));
	ck_assert_str_eq(look(watch, 2000, 2000, 2, 1), "/a");
	sources_init(&read);
	sources_note(&read, "/a", &good);
	sources_note(&read, "/new", _i ? &gone : &bad);
	watch_refused(watch, &read);
	ck_assert_uint_eq(watch->count, FILES + 1);
	ck_assert_str_eq(watch->files[FILES].path, "/new");
	watch_see(watch, FILES, _i ? &gone : &bad);
	ck_assert_ptr_null(look(watch, 3000, 3000, 2, 1));
	ck_assert_ptr_null(look(watch, 4000, 4000, 2, 1));
	watch_see(watch, FILES, &good);
	ck_assert_ptr_null(look(watch, 5000, 5000, 2, 1));
	ck_assert_str_eq(look(watch, 6000, 6000, 2, 1), "/new");
	ck_assert_ptr_null(look(watch, 7000, 7000, 2, 1));

	struct sources other;
	sources_init(&other);
	sources_note(&other, "/other", &bad);
	watch_refused(watch, &other);
	ck_assert_uint_eq(watch->count, FILES + 1);
	ck_assert_str_eq(watch->files[FILES].path, "/other");
	watch_see(watch, FILES, &good);
	ck_assert_ptr_null(look(watch, 8000, 8000, 2, 1));
	ck_assert_str_eq(look(watch, 9000, 9000, 2, 1), "/other");
	sources_fini(&other);
	sources_fini(&read);
	watch_free(watch);
}
END_TEST

START_TEST(notes_what_was_seen)
{
	struct sources seen;
	struct file_stamp one = version(1), three = version(3);
	struct watch *watch = watch_files();
	look(watch, 1000, 1000, 3, 1);
	sources_init(&seen);
	watch_note(watch, &seen);
	ck_assert_uint_eq(seen.count, FILES);
	ck_assert_str_eq(seen.items[0].path, "/a");
	ck_assert(file_stamp_equal(&seen.items[0].stamp, &three));
	ck_assert(file_stamp_equal(&seen.items[1].stamp, &one));
	sources_fini(&seen);
	watch_free(watch);
}
END_TEST

START_TEST(nothing_to_watch)
{
	struct sources none;
	sources_init(&none);
	struct watch *watch = watch_new(&none);
	ck_assert_ptr_null(watch_due(watch, 1000, 1000));
	ck_assert_ptr_null(watch_due(watch, 9000, 9000));
	watch_free(watch);
	watch_free(NULL);
}
END_TEST

static void
fill(TCase *cases)
{
	tcase_add_loop_test(cases, script, 0, sizeof(scripts) / sizeof(scripts[0]));
	tcase_add_loop_test(cases, every_field_counts, 0, 7);
	tcase_add_loop_test(cases, refused, 0, 2);
	tcase_add_test(cases, notes_what_was_seen);
	tcase_add_test(cases, nothing_to_watch);
}

UNIT_MAIN("watch", fill)

/*
 * The files that something was loaded from, each as it was when it was opened, so that a later look
 * tells whether it has changed since. Owned by the caller; not shared between threads.
 */
#ifndef ACL_SOURCES_H
#define ACL_SOURCES_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>
#include <time.h>

/* What tells one state of a file from another; all zero where there is none. */
struct file_stamp {
	dev_t device;
	ino_t inode;
	off_t size;
	struct timespec modified;
	struct timespec changed;
};

struct source {
	char *path;
	struct file_stamp stamp;
};

struct sources {
	struct source *items;
	size_t count;
	size_t capacity; /* private */
};

void sources_init(struct sources *sources);
void sources_fini(struct sources *sources);

/* Notes a file with what fstat(2) said of it before it was read; NULL when it can't be opened: then
 * with what stat(2) says. Of a path that is noted again the first stamp stays: a change between two
 * readings must show. */
void sources_add(struct sources *sources, const char *path, const struct stat *st);

/* The same with a stamp. */
void sources_note(struct sources *sources, const char *path, const struct file_stamp *stamp);

/* Whether all files are still as they were noted. Asks the file systems: it may take its time. */
bool sources_are_unchanged(const struct sources *sources);

/* Whether no file was noted otherwise in one of them than in the other. */
bool sources_agree(const struct sources *a, const struct sources *b);

struct file_stamp file_stamp_of(const struct stat *st); /* NULL: there is none */
struct file_stamp file_stamp_read(const char *path);    /* what stat(2) says of it now */
bool file_stamp_equal(const struct file_stamp *a, const struct file_stamp *b);

#endif

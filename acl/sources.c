/*
 * The record of files read. Whichever thread loads.
 */
#include "acl/sources.h"

#include "acl/mem.h"

#include <stdlib.h>
#include <string.h>

void
sources_init(struct sources *sources)
{
	*sources = (struct sources){.items = NULL};
}

void
sources_fini(struct sources *sources)
{
	for (size_t i = 0; i < sources->count; i++)
		free(sources->items[i].path);
	free(sources->items);
	sources_init(sources);
}

static const struct source *
find(const struct sources *sources, const char *path)
{
	for (size_t i = 0; i < sources->count; i++)
		if (strcmp(sources->items[i].path, path) == 0)
			return &sources->items[i];
	return NULL;
}

void
sources_note(struct sources *sources, const char *path, const struct file_stamp *stamp)
{
	if (find(sources, path))
		return;
	if (sources->count == sources->capacity)
		sources->items =
			mem_grow(sources->items, &sources->capacity, sizeof(*sources->items));
	sources->items[sources->count++] = (struct source){.path = mem_text(path), .stamp = *stamp};
}

void
sources_add(struct sources *sources, const char *path, const struct stat *st)
{
	struct file_stamp stamp = st ? file_stamp_of(st) : file_stamp_read(path);
	sources_note(sources, path, &stamp);
}

bool
sources_are_unchanged(const struct sources *sources)
{
	for (size_t i = 0; i < sources->count; i++) {
		struct file_stamp now = file_stamp_read(sources->items[i].path);
		if (!file_stamp_equal(&sources->items[i].stamp, &now))
			return false;
	}
	return true;
}

bool
sources_agree(const struct sources *a, const struct sources *b)
{
	for (size_t i = 0; i < a->count; i++) {
		const struct source *other = find(b, a->items[i].path);
		if (other && !file_stamp_equal(&a->items[i].stamp, &other->stamp))
			return false;
	}
	return true;
}

struct file_stamp
file_stamp_of(const struct stat *st)
{
	if (!st)
		return (struct file_stamp){.size = 0};
	return (struct file_stamp){
		.device = st->st_dev,
		.inode = st->st_ino,
		.size = st->st_size,
		.modified = st->st_mtim,
		.changed = st->st_ctim,
	};
}

struct file_stamp
file_stamp_read(const char *path)
{
	struct stat st;
	return file_stamp_of(stat(path, &st) < 0 ? NULL : &st);
}

static bool
time_equal(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

bool
file_stamp_equal(const struct file_stamp *a, const struct file_stamp *b)
{
	return a->device == b->device && a->inode == b->inode && a->size == b->size &&
	       time_equal(&a->modified, &b->modified) && time_equal(&a->changed, &b->changed);
}

/*
 * The watch's state: see watch.h. One thread at a time; owns its paths.
 */
#include "lb/watch.h"

#include "acl/mem.h"

#include <stdlib.h>
#include <string.h>

static bool
is_watched(const struct watch *watch, const char *path)
{
	for (size_t i = 0; i < watch->count; i++)
		if (strcmp(watch->files[i].path, path) == 0)
			return true;
	return false;
}

static void
add(struct watch *watch, const struct source *source)
{
	if (is_watched(watch, source->path))
		return;
	if (watch->count == watch->capacity)
		watch->files = mem_grow(watch->files, &watch->capacity, sizeof(*watch->files));
	watch->files[watch->count++] = (struct watched){.path = mem_text(source->path),
		.loaded = source->stamp,
		.tried = source->stamp,
		.seen = source->stamp};
}

struct watch *
watch_new(const struct sources *sources)
{
	if (mem_load_begin() < 0)
		return NULL;
	struct watch *watch = mem_new(1, sizeof(*watch));
	for (size_t i = 0; i < sources->count; i++)
		add(watch, &sources->items[i]);
	watch->in_force = watch->count;
	if (mem_load_end() == 0)
		return watch;
	watch_free(watch);
	return NULL;
}

static void
drop_refused(struct watch *watch)
{
	while (watch->count > watch->in_force)
		free(watch->files[--watch->count].path);
}

void
watch_free(struct watch *watch)
{
	if (!watch)
		return;
	watch->in_force = 0;
	drop_refused(watch);
	free(watch->files);
	free(watch);
}

void
watch_refused(struct watch *watch, const struct sources *read)
{
	drop_refused(watch);
	if (mem_load_begin() < 0)
		return;
	for (size_t i = 0; i < read->count && !mem_load_failed(); i++)
		add(watch, &read->items[i]);
	mem_load_end();
}

void
watch_again(struct watch *watch)
{
	for (size_t i = 0; i < watch->count; i++)
		watch->files[i].tried = watch->files[i].loaded;
}

void
watch_see(struct watch *watch, size_t index, const struct file_stamp *stamp)
{
	struct watched *file = &watch->files[index];
	if (file_stamp_equal(&file->seen, stamp))
		return;
	file->seen = *stamp;
	watch->moved = true;
}

static const struct watched *
find_changed(const struct watch *watch)
{
	for (size_t i = 0; i < watch->count; i++)
		if (!file_stamp_equal(&watch->files[i].seen, &watch->files[i].tried))
			return &watch->files[i];
	return NULL;
}

const char *
watch_due(struct watch *watch, uint64_t began_ms, uint64_t ended_ms)
{
	if (watch->moved) {
		watch->moved = false;
		watch->changed_ms = ended_ms;
		return NULL;
	}
	const struct watched *changed = find_changed(watch);
	if (!changed || began_ms < watch->changed_ms + WATCH_QUIET_MS)
		return NULL;
	for (size_t i = 0; i < watch->count; i++)
		watch->files[i].tried = watch->files[i].seen;
	return changed->path;
}

void
watch_note(const struct watch *watch, struct sources *seen)
{
	for (size_t i = 0; i < watch->count; i++)
		sources_note(seen, watch->files[i].path, &watch->files[i].seen);
}

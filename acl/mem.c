/*
 * Allocation for loaders. See mem.h.
 */
#include "acl/mem.h"

#include <stdlib.h>
#include <string.h>

enum {
	/* Small enough to stay with the allocator when they are let go: glibc gives back to the
	 * kernel what is larger than 128 KB. */
	RESERVE_SIZE = 8192,
	RESERVES = 12,
	PIECE_SIZE = 65536,
};

static _Thread_local struct {
	bool loading;
	bool failed;
	void *reserves[RESERVES];
} load;

static void
let_go(void)
{
	for (size_t i = 0; i < RESERVES; i++) {
		free(load.reserves[i]);
		load.reserves[i] = NULL;
	}
}

/* Whether it is worth another try. */
static bool
ran_out(void)
{
	if (!load.loading)
		abort();
	if (load.failed)
		return false;
	load.failed = true;
	let_go();
	return true;
}

void *
mem_new(size_t count, size_t size)
{
	size_t members = count ? count : 1;
	void *array = calloc(members, size);
	if (!array && ran_out())
		array = calloc(members, size);
	if (!array)
		abort();
	return array;
}

void *
mem_try_resize(void *array, size_t count, size_t size)
{
	size_t members = count ? count : 1;
	void *resized = reallocarray(array, members, size);
	if (!resized && ran_out())
		resized = reallocarray(array, members, size);
	return resized;
}

void *
mem_resize(void *array, size_t count, size_t size)
{
	void *resized = mem_try_resize(array, count, size);
	if (!resized)
		abort();
	return resized;
}

void *
mem_try_grow(void *array, size_t *capacity, size_t size)
{
	size_t wanted = *capacity ? *capacity * 2 : 8;
	void *grown = mem_try_resize(array, wanted, size);
	if (grown)
		*capacity = wanted;
	return grown;
}

void *
mem_grow(void *array, size_t *capacity, size_t size)
{
	void *grown = mem_try_grow(array, capacity, size);
	if (!grown)
		abort();
	return grown;
}

char *
mem_text(const char *text)
{
	size_t size = strlen(text) + 1;
	return memcpy(mem_resize(NULL, size, 1), text, size);
}

/* What was allocated once is there for the next allocation. */
int
mem_provide(size_t size)
{
	void **pieces = NULL;
	int result = 0;
	for (size_t sum = 0; sum < size && result == 0; sum += PIECE_SIZE) {
		void **piece = malloc(PIECE_SIZE);
		if (piece) {
			*piece = pieces;
			pieces = piece;
		} else {
			ran_out();
			result = -1;
		}
	}
	while (pieces) {
		void **next = *pieces;
		free(pieces);
		pieces = next;
	}
	return result;
}

int
mem_load_begin(void)
{
	load.loading = true;
	load.failed = false;
	for (size_t i = 0; i < RESERVES; i++) {
		load.reserves[i] = malloc(RESERVE_SIZE);
		load.failed |= !load.reserves[i];
	}
	if (!load.failed)
		return 0;
	return mem_load_end();
}

void
mem_load_fail(void)
{
	load.failed |= load.loading;
}

bool
mem_load_failed(void)
{
	return load.failed;
}

int
mem_load_end(void)
{
	let_go();
	load.loading = false;
	return load.failed ? -1 : 0;
}

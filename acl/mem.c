/*
 * Allocation that aborts instead of failing. See mem.h.
 */
#include "acl/mem.h"

#include <stdlib.h>
#include <string.h>

void *
mem_new(size_t count, size_t size)
{
	void *array = calloc(count ? count : 1, size);
	if (!array)
		abort();
	return array;
}

void *
mem_resize(void *array, size_t count, size_t size)
{
	void *resized = reallocarray(array, count ? count : 1, size);
	if (!resized)
		abort();
	return resized;
}

void *
mem_grow(void *array, size_t *capacity, size_t size)
{
	*capacity = *capacity ? *capacity * 2 : 8;
	return mem_resize(array, *capacity, size);
}

char *
mem_text(const char *text)
{
	size_t size = strlen(text) + 1;
	return memcpy(mem_resize(NULL, size, 1), text, size);
}

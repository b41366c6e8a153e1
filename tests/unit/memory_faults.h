/*
 * Memory that is refused to order, in the test program that includes this. Once a program; to be
 * ordered while there is no other thread.
 */
#ifndef TESTS_UNIT_MEMORY_FAULTS_H
#define TESTS_UNIT_MEMORY_FAULTS_H

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* The call that finds no memory, of those that follow the order; 0 = none. */
static unsigned memory_refused;

static inline bool
memory_refuses(void)
{
	return memory_refused > 0 && --memory_refused == 0;
}

void *
calloc(size_t count, size_t size)
{
	void *block = memory_refuses() ? NULL : reallocarray(NULL, count, size);
	return block ? memset(block, 0, count * size) : NULL;
}

void *
aligned_alloc(size_t alignment, size_t size)
{
	void *block;
	if (memory_refuses() || posix_memalign(&block, alignment, size) != 0)
		return NULL;
	return block;
}

#endif

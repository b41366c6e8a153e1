/*
 * Memory for loading; see alloc.h. Any thread.
 */
#include "conf/alloc.h"

#include <stdlib.h>

void *
conf_alloc(size_t count, size_t size)
{
	void *memory = calloc(count ? count : 1, size);
	if (!memory)
		abort();
	return memory;
}

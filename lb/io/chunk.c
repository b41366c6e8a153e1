/*
 * Chunks and the worker's pool of them: a free list with a bound. One thread, no locks.
 */
#include "lb/io/chunk.h"

#include <stdlib.h>
#include <string.h>

void
chunk_pool_init(struct chunk_pool *pool)
{
	pool->free = NULL;
	pool->kept = 0;
}

void
chunk_pool_fini(struct chunk_pool *pool)
{
	while (pool->free) {
		struct chunk *chunk = pool->free;
		pool->free = chunk->next;
		free(chunk);
	}
	pool->kept = 0;
}

struct chunk *
chunk_get(struct chunk_pool *pool)
{
	struct chunk *chunk = pool->free;
	if (chunk) {
		pool->free = chunk->next;
		pool->kept--;
	} else {
		chunk = malloc(sizeof(*chunk));
		if (!chunk)
			return NULL;
		chunk->pool = pool;
	}
	chunk->next = NULL;
	chunk->data = chunk->bytes;
	chunk->len = 0;
	return chunk;
}

void
chunk_put(struct chunk *chunk)
{
	if (!chunk)
		return;
	struct chunk_pool *pool = chunk->pool;
	if (pool->kept == CHUNK_KEPT) {
		free(chunk);
		return;
	}
	chunk->next = pool->free;
	pool->free = chunk;
	pool->kept++;
}

bool
chunk_join(struct chunk *chunk, struct chunk *from)
{
	size_t used = (size_t)(chunk->data - chunk->bytes) + chunk->len;
	if (from->len > CHUNK_SIZE - used)
		return false;
	memcpy(chunk->bytes + used, from->data, from->len);
	chunk->len += from->len;
	chunk_put(from);
	return true;
}

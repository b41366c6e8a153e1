/*
 * Chunks and the worker's pool of them: a shelf of free ones for each size, with a bound. One
 * thread, no locks.
 */
#include "lb/io/chunk.h"

#include <stdlib.h>
#include <string.h>

void
chunk_pool_init(struct chunk_pool *pool)
{
	*pool = (struct chunk_pool){.plain = {.kept = 0}};
}

static void
clear(struct chunk_shelf *shelf)
{
	while (shelf->free) {
		struct chunk *chunk = shelf->free;
		shelf->free = chunk->next;
		free(chunk);
	}
	shelf->kept = 0;
}

void
chunk_pool_fini(struct chunk_pool *pool)
{
	clear(&pool->plain);
	clear(&pool->large);
}

static struct chunk *
take(struct chunk_pool *pool, struct chunk_shelf *shelf, size_t size)
{
	struct chunk *chunk = shelf->free;
	if (chunk) {
		shelf->free = chunk->next;
		shelf->kept--;
	} else {
		chunk = malloc(sizeof(*chunk) + size);
		if (!chunk)
			return NULL;
		chunk->pool = pool;
		chunk->size = size;
	}
	chunk->next = NULL;
	chunk->data = chunk->bytes;
	chunk->len = 0;
	return chunk;
}

struct chunk *
chunk_get(struct chunk_pool *pool)
{
	return take(pool, &pool->plain, CHUNK_SIZE);
}

struct chunk *
chunk_get_large(struct chunk_pool *pool)
{
	return take(pool, &pool->large, CHUNK_LARGE);
}

void
chunk_put(struct chunk *chunk)
{
	if (!chunk)
		return;
	bool is_large = chunk->size == CHUNK_LARGE;
	struct chunk_shelf *shelf = is_large ? &chunk->pool->large : &chunk->pool->plain;
	if (shelf->kept == (is_large ? CHUNK_LARGE_KEPT : CHUNK_KEPT)) {
		free(chunk);
		return;
	}
	chunk->next = shelf->free;
	shelf->free = chunk;
	shelf->kept++;
}

void
chunk_put_all(struct chunk *chunk)
{
	while (chunk) {
		struct chunk *next = chunk->next;
		chunk_put(chunk);
		chunk = next;
	}
}

bool
chunk_join(struct chunk *chunk, struct chunk *from)
{
	if (from->len > chunk->size - chunk->len)
		return false;
	if (chunk->data > chunk->bytes)
		memmove(chunk->bytes, chunk->data, chunk->len);
	chunk->data = chunk->bytes;
	memcpy(chunk->bytes + chunk->len, from->data, from->len);
	chunk->len += from->len;
	chunk_put(from);
	return true;
}

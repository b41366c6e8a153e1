/*
 * A chunk: bytes on their way from one conn to another, in a buffer that goes with them. Whoever
 * holds a chunk owns it and hands it on or puts it back. Large ones are for conns whose bytes come
 * in a stream: fewer of them pass in fewer steps.
 *
 * A chunk pool belongs to one worker and is touched by its thread only. It keeps some free chunks
 * for the next receive, so that a session holds memory only while bytes of its are in flight.
 */
#ifndef LB_IO_CHUNK_H
#define LB_IO_CHUNK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	CHUNK_SIZE = 16384,   /* bytes a chunk can hold, */
	CHUNK_LARGE = 65536,  /* and a large one */
	CHUNK_KEPT = 64,      /* free chunks a pool keeps, */
	CHUNK_LARGE_KEPT = 8, /* and large ones */
};

struct conn;

struct chunk_shelf {
	struct chunk *free;
	unsigned kept;
};

struct chunk_pool {
	struct chunk_shelf plain, large;
};

struct chunk {
	struct chunk *next; /* in whatever queue its owner has */
	struct chunk_pool *pool;
	struct conn *sender; /* while io_uring sends it: whose it is, NULL once that was closed */
	uint8_t *data;       /* the first byte that is still to go */
	size_t len;          /* and how many */
	size_t size;         /* bytes it can hold */
	uint8_t bytes[];
};

void chunk_pool_init(struct chunk_pool *pool);
void chunk_pool_fini(struct chunk_pool *pool); /* every chunk must be back */

/* An empty chunk, or NULL when there is no memory. */
struct chunk *chunk_get(struct chunk_pool *pool);
struct chunk *chunk_get_large(struct chunk_pool *pool);
void chunk_put(struct chunk *chunk);     /* NULL is fine */
void chunk_put_all(struct chunk *chunk); /* and all that follow it */

/* Moves the bytes of `from` behind those of `chunk` and puts `from` back, if they fit. */
bool chunk_join(struct chunk *chunk, struct chunk *from);

#endif

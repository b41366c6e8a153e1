/*
 * Memory for loaders, which have no use for half a rule set: their allocations do not fail one by
 * one, but the load as a whole.
 *
 * A load sets some memory aside at its beginning. When an allocation fails that is let go, and the
 * load runs on in it: it reads no more, and finds at its end that what it has made is not to be
 * used. Outside a load, and once even that is used up, running out aborts. Any thread; a load is
 * its thread's own.
 */
#ifndef ACL_MEM_H
#define ACL_MEM_H

#include <stdbool.h>
#include <stddef.h>

/* A zeroed array. Never NULL, not even for nothing. */
void *mem_new(size_t count, size_t size);

/* realloc to count members of size bytes. Never NULL, not even for nothing. */
void *mem_resize(void *array, size_t count, size_t size);

/* The same for an array that may be large. In a load it returns NULL, with the array unchanged,
 * when there is no memory: what does not fit may be left out. */
void *mem_try_resize(void *array, size_t count, size_t size);

/* Room for at least one member more than *capacity, which is set to the new number. */
void *mem_grow(void *array, size_t *capacity, size_t size);
void *mem_try_grow(void *array, size_t *capacity, size_t size);

/* A copy for free(3). */
char *mem_text(const char *text);

/* Sees to it that the next allocations in this thread, so many bytes in all, find memory, for code
 * that would not survive to be refused: 0, or -1, by which the load has failed. */
int mem_provide(size_t size);

/* Begins a load in this thread: 0, or -1 when there is no memory to begin with. */
int mem_load_begin(void);

/* A library has been refused memory, and may not tell: in a load, it has failed. */
void mem_load_fail(void);

/* Whether this load ran out of memory: its result will not be used. */
bool mem_load_failed(void);

/* Ends the load: 0, or -1 when it ran out of memory. */
int mem_load_end(void);

#endif

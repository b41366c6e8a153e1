/*
 * Memory for loaders: what is read before the program serves anything has no use for half a rule
 * set, so running out aborts. Any thread; nothing is kept here.
 */
#ifndef ACL_MEM_H
#define ACL_MEM_H

#include <stddef.h>

/* A zeroed array. Never NULL, not even for nothing. */
void *mem_new(size_t count, size_t size);

/* realloc to count members of size bytes. Never NULL, not even for nothing. */
void *mem_resize(void *array, size_t count, size_t size);

/* Room for at least one member more than *capacity, which is set to the new number. */
void *mem_grow(void *array, size_t *capacity, size_t size);

/* A copy for free(3). */
char *mem_text(const char *text);

#endif

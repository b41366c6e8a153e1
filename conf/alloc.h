/*
 * Memory for loading a configuration. The caller owns it, for free(3); running out aborts, as in
 * acl/mem.h. Any thread.
 */
#ifndef CONF_ALLOC_H
#define CONF_ALLOC_H

#include <stddef.h>

/* A zeroed array; never NULL, not even for nothing. */
void *conf_alloc(size_t count, size_t size);

#endif

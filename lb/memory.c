/*
 * The reserve and libev's allocator. One atomic pointer for all threads.
 */
#include "lb/memory.h"

#include <errno.h>
#include <ev.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
	RESERVE_SIZE = 512 << 10, /* libev's largest array with 20,000 descriptors */
	RETRY_NS = 10000000,
};

static void *reserve;

/* Returns false when there was nothing to let go. */
static bool
let_go(void)
{
	void *block = __atomic_exchange_n(&reserve, NULL, __ATOMIC_ACQ_REL);
	free(block);
	return block != NULL;
}

/* With the reserve gone too, waiting is all that is left: other threads and processes end. */
static void *
allocate(void *block, long size)
{
	static const struct timespec retry = {.tv_nsec = RETRY_NS};
	if (size == 0) {
		free(block);
		return NULL;
	}
	void *resized;
	while (!(resized = realloc(block, (size_t)size)))
		if (!let_go())
			nanosleep(&retry, NULL);
	return resized;
}

/* A system call of libev's that must not fail: it can't make or ask its descriptors. */
static void
give_up(const char *what)
{
	fprintf(stderr, "smtplb: %s: %s\n", what, strerror(errno));
	_exit(EXIT_FAILURE);
}

bool
memory_is_short(void)
{
	if (__atomic_load_n(&reserve, __ATOMIC_RELAXED))
		return false;
	void *block = malloc(RESERVE_SIZE);
	if (!block)
		return true;
	/* Another thread may have been faster. */
	free(__atomic_exchange_n(&reserve, block, __ATOMIC_ACQ_REL));
	return false;
}

int
memory_init(void)
{
	ev_set_allocator(allocate);
	ev_set_syserr_cb(give_up);
	return memory_is_short() ? -1 : 0;
}

/*
 * A pool from within, for pool.c and pool_pick.c only. Its mutex guards it, but for what never
 * changes.
 */
#ifndef LB_POOL_STATE_H
#define LB_POOL_STATE_H

#include "lb/balance_roundrobin.h"
#include "lb/claim.h"
#include "lb/pool.h"

#include <pthread.h>

struct pool {
	char *name;
	pool_usable_fn *on_usable;
	void *context;
	unsigned refs; /* atomic */
	pthread_mutex_t mutex;
	enum balance balance;
	unsigned greeting_fall;
	bool fail_open;
	bool opens; /* by fail_open: of those that are ready, none is up */
	struct backend *members[POOL_BACKENDS_MAX]; /* in the configuration's order */
	unsigned count;
	unsigned last_mark;
	struct rotation firsts;  /* of the sessions' first picks */
	struct rotation retries; /* of the later ones */
	struct line line;
};

/* Calls the first of those who wait to what is free; all of them, when what they wait for has
 * changed otherwise. Both with the mutex held. Return whether on_usable is to be told. */
bool pool_call_next(struct pool *pool);
bool pool_call_all(struct pool *pool);

#endif

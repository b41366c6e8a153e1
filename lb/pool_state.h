/*
 * A pool from within, for pool*.c only. Its mutex guards it, but for what never
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
	unsigned workers;
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
	struct backend *former; /* no members any more, with sessions; without a reference */
	unsigned last_mark;
	struct rotation firsts;  /* of the sessions' first picks */
	struct rotation retries; /* of the later ones */
	struct line line;
};

/* The member of that name, and of that address unless it is NULL; NULL for none. */
struct backend *pool_find(const struct pool *pool, const char *name, const struct addr *address);

/* All that follows with the mutex held. */

/* Whether sessions may be sent there, if there is room. */
bool pool_may_use(const struct pool *pool, const struct backend *backend);

/* One that is no member any more, if it is one, has no sessions left. */
void pool_forget(struct pool *pool, const struct backend *backend);

/* It went up or down: notes since when, and logs it. */
void pool_changed(struct backend *backend, bool up, const char *cause, const char *detail);

/* After any change of what keeps a backend in or out, or of what it may have: calls those who wait.
 * Returns whether on_usable is to be told. */
bool pool_take_note(struct pool *pool);

/* Lets go of the mutex, and calls on_usable if it is to be told. */
void pool_unlock(struct pool *pool, bool tell);

/* Calls the first of those who wait to what is free; all of them, when what they wait for has
 * changed otherwise. Return whether on_usable is to be told. */
bool pool_call_next(struct pool *pool);
bool pool_call_all(struct pool *pool);

#endif

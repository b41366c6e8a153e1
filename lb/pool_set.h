/*
 * All pools, by name, and their change from one configuration to the next in two steps. Belongs to
 * the main thread.
 */
#ifndef LB_POOL_SET_H
#define LB_POOL_SET_H

#include "conf/snapshot.h"
#include "lb/pool.h"

struct pool_set;

/* workers, on_usable: of every pool. NULL when there is no memory. */
struct pool_set *pool_set_new(unsigned workers, pool_usable_fn *on_usable, void *context);
void pool_set_free(struct pool_set *set);

/* The pool of that name; NULL when there is none. */
struct pool *pool_set_find(const struct pool_set *set, const char *name);

/* A plan holds all that is needed to give the set the snapshot's pools. The snapshot must outlive
 * it. NULL when there is no memory, with nothing changed. */
struct pool_plan;
struct pool_plan *pool_plan_new(struct pool_set *set, const struct snapshot *snapshot);
void pool_plan_drop(struct pool_plan *plan);
void pool_plan_commit(struct pool_plan *plan); /* frees the plan */

#endif

/*
 * The set of pools and the plans that change it. Main thread.
 */
#include "lb/pool_set.h"

#include <stdlib.h>
#include <string.h>

struct pool_set {
	unsigned workers;
	pool_usable_fn *on_usable;
	void *context;
	struct pool **pools;
	size_t count;
};

struct pool_plan {
	struct pool_set *set;
	struct pool **pools; /* in the snapshot's order, each with a reference */
	struct pool_change *changes;
	size_t count;
};

struct pool_set *
pool_set_new(unsigned workers, pool_usable_fn *on_usable, void *context)
{
	struct pool_set *set = calloc(1, sizeof(*set));
	if (!set)
		return NULL;
	set->workers = workers;
	set->on_usable = on_usable;
	set->context = context;
	return set;
}

static void
free_pools(struct pool **pools, size_t count)
{
	for (size_t i = 0; i < count; i++)
		pool_unref(pools[i]);
	free(pools);
}

void
pool_set_free(struct pool_set *set)
{
	free_pools(set->pools, set->count);
	free(set);
}

struct pool *
pool_set_find(const struct pool_set *set, const char *name)
{
	for (size_t i = 0; i < set->count; i++) {
		if (strcmp(pool_name(set->pools[i]), name) == 0)
			return set->pools[i];
	}
	return NULL;
}

/* The pool that lives already, or a new one; with a reference. */
static struct pool *
find_or_make(struct pool_set *set, const char *name)
{
	struct pool *pool = pool_set_find(set, name);
	return pool ? pool_ref(pool) : pool_new(name, set->workers, set->on_usable, set->context);
}

static int
plan_one(struct pool_plan *plan, const struct pool_conf *conf)
{
	struct pool *pool = find_or_make(plan->set, conf->name);
	if (!pool)
		return -1;
	if (pool_change_prepare(&plan->changes[plan->count], pool, conf) < 0) {
		pool_unref(pool);
		return -1;
	}
	plan->pools[plan->count++] = pool;
	return 0;
}

struct pool_plan *
pool_plan_new(struct pool_set *set, const struct snapshot *snapshot)
{
	struct pool_plan *plan = calloc(1, sizeof(*plan));
	if (!plan)
		return NULL;
	plan->set = set;
	plan->pools = calloc(snapshot->pool_count, sizeof(struct pool *));
	plan->changes = calloc(snapshot->pool_count, sizeof(struct pool_change));
	if (!plan->pools || !plan->changes)
		goto fail;
	for (size_t i = 0; i < snapshot->pool_count; i++) {
		if (plan_one(plan, &snapshot->pools[i]) < 0)
			goto fail;
	}
	return plan;
fail:
	pool_plan_drop(plan);
	return NULL;
}

void
pool_plan_drop(struct pool_plan *plan)
{
	for (size_t i = 0; i < plan->count; i++)
		pool_change_drop(&plan->changes[i]);
	free_pools(plan->pools, plan->count);
	free(plan->changes);
	free(plan);
}

void
pool_plan_commit(struct pool_plan *plan)
{
	struct pool_set *set = plan->set;
	for (size_t i = 0; i < plan->count; i++)
		pool_change_commit(&plan->changes[i], plan->pools[i]);
	free_pools(set->pools, set->count);
	set->pools = plan->pools;
	set->count = plan->count;
	free(plan->changes);
	free(plan);
}

/*
 * See figures.h.
 */
#include "lb/admin/figures.h"

#include "lb/tally.h"

#include <stdlib.h>

static int
take_pool(struct pool_figures *figures, struct pool *pool, const char *name)
{
	figures->name = name;
	figures->pool = pool;
	if (pool_look(pool, &figures->status) < 0)
		return -1;
	figures->counts = calloc(figures->status.count, sizeof(*figures->counts));
	if (!figures->counts) {
		pool_status_fini(pool, &figures->status);
		return -1;
	}
	for (size_t i = 0; i < figures->status.count; i++)
		tally_sum(figures->status.backends[i].backend->tally, &figures->counts[i]);
	return 0;
}

int
figures_take(struct figures *figures, const struct serving *serving, const struct process *process)
{
	const struct runtime *runtime = serving->runtime;
	const struct snapshot *snapshot = runtime->snapshot;
	*figures = (struct figures){
		.serving = serving,
		.snapshot = snapshot,
		.listeners = calloc(snapshot->listener_count, sizeof(*figures->listeners)),
		.pools = calloc(snapshot->pool_count, sizeof(*figures->pools)),
	};
	if (!figures->listeners || !figures->pools) {
		free(figures->listeners);
		free(figures->pools);
		return -1;
	}
	for (size_t i = 0; i < snapshot->listener_count; i++)
		tally_sum(runtime->tallies[i], &figures->listeners[i]);
	for (; figures->pool_count < snapshot->pool_count; figures->pool_count++) {
		size_t i = figures->pool_count;
		if (take_pool(&figures->pools[i], runtime->pools[i], snapshot->pools[i].name) < 0) {
			figures_fini(figures);
			return -1;
		}
	}
	process_look(process, &figures->process);
	return 0;
}

void
figures_fini(struct figures *figures)
{
	for (size_t i = 0; i < figures->pool_count; i++) {
		struct pool_figures *pool = &figures->pools[i];
		pool_status_fini(pool->pool, &pool->status);
		free(pool->counts);
	}
	free(figures->pools);
	free(figures->listeners);
}

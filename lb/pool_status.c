/*
 * See pool_status.h.
 */
#include "lb/pool_status.h"

#include "lb/pool_state.h"

#include <stdlib.h>
#include <string.h>

/* Where both keep it down, the probe: it says more of the relay. */
static void
look_why(struct backend_status *status, const struct backend *backend)
{
	if (backend_is_up(backend))
		return;
	status->cause = backend->probe_up ? "greetings" : "probe";
	memcpy(status->why, backend->probe_up ? backend->suspended_why : backend->probe_why,
		sizeof(status->why));
}

static void
look(struct backend_status *status, struct backend *backend)
{
	backend->refs++;
	*status = (struct backend_status){
		.backend = backend,
		.endpoint = {.addr = backend->address, .port = backend->port},
		.admin = backend->admin,
		.up = backend_is_up(backend),
		.probe_up = backend->probe_up,
		.greetings_up = !backend->suspended,
		.since_ms = backend->since_ms,
		.last_probe = backend->last_probe,
		.backup = backend->backup,
		.weight = backend->weight,
		.active = backend->active,
		.max_sessions = backend->max_sessions,
	};
	look_why(status, backend);
}

int
pool_look(struct pool *pool, struct pool_status *status)
{
	*status = (struct pool_status){
		.backends = calloc(POOL_BACKENDS_MAX, sizeof(*status->backends)),
	};
	if (!status->backends)
		return -1;
	pthread_mutex_lock(&pool->mutex);
	status->count = pool->count;
	for (unsigned i = 0; i < pool->count; i++)
		look(&status->backends[i], pool->members[i]);
	status->waiting = pool->line.count;
	status->opens = pool->opens;
	pthread_mutex_unlock(&pool->mutex);
	return 0;
}

void
pool_status_fini(struct pool *pool, struct pool_status *status)
{
	pthread_mutex_lock(&pool->mutex);
	for (size_t i = 0; i < status->count; i++)
		backend_unref(status->backends[i].backend);
	pthread_mutex_unlock(&pool->mutex);
	free(status->backends);
}

bool
pool_is_usable(struct pool *pool)
{
	bool usable = false;
	pthread_mutex_lock(&pool->mutex);
	for (unsigned i = 0; i < pool->count; i++)
		usable |= pool_may_use(pool, pool->members[i]);
	pthread_mutex_unlock(&pool->mutex);
	return usable;
}

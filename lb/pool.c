/*
 * Pools: picking, and the state of their backends, under each pool's mutex. The round robin cycle
 * is made anew whenever the eligible backends change. Threading and ownership: see pool.h.
 */
#include "lb/pool.h"

#include "lb/balance_roundrobin.h"
#include "lb/clock.h"
#include "lb/log.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct pool {
	char *name;
	pool_usable_fn *on_usable;
	void *context;
	unsigned refs; /* atomic */
	pthread_mutex_t mutex;
	unsigned greeting_fall;
	struct backend *members[POOL_BACKENDS_MAX]; /* by slot */
	struct smooth retries[POOL_BACKENDS_MAX];   /* the weights, and whose turn among retries */
	unsigned count;
	uint64_t eligible[POOL_BACKENDS_MAX / 64];
	uint8_t *cycle; /* room for the sum of all weights */
	size_t cycle_len;
	uint64_t turn;
	unsigned suspended; /* how many, so that a pick need not look */
};

struct pool *
pool_new(const char *name, pool_usable_fn *on_usable, void *context)
{
	struct pool *pool = calloc(1, sizeof(*pool));
	if (!pool)
		return NULL;
	pool->name = strdup(name);
	if (!pool->name) {
		free(pool);
		return NULL;
	}
	pool->on_usable = on_usable;
	pool->context = context;
	pool->refs = 1;
	pthread_mutex_init(&pool->mutex, NULL);
	return pool;
}

struct pool *
pool_ref(struct pool *pool)
{
	__atomic_add_fetch(&pool->refs, 1, __ATOMIC_RELAXED);
	return pool;
}

void
pool_unref(struct pool *pool)
{
	if (!pool || __atomic_sub_fetch(&pool->refs, 1, __ATOMIC_ACQ_REL) > 0)
		return;
	for (unsigned i = 0; i < pool->count; i++)
		backend_unref(pool->members[i]);
	pthread_mutex_destroy(&pool->mutex);
	free(pool->cycle);
	free(pool->name);
	free(pool);
}

const char *
pool_name(const struct pool *pool)
{
	return pool->name;
}

static struct backend *
find_backend(const struct pool *pool, const char *name, const struct addr *address)
{
	for (unsigned i = 0; i < pool->count; i++) {
		struct backend *backend = pool->members[i];
		if (strcmp(backend->name, name) == 0 &&
			(!address || addr_equal(&backend->address, address)))
			return backend;
	}
	return NULL;
}

/* After any change of what makes a backend eligible; with the mutex held. */
static void
rebuild(struct pool *pool)
{
	memset(pool->eligible, 0, sizeof(pool->eligible));
	pool->suspended = 0;
	for (unsigned i = 0; i < pool->count; i++) {
		pool->suspended += pool->members[i]->suspended;
		if (backend_is_eligible(pool->members[i]))
			bit_set(pool->eligible, i);
	}
	pool->cycle_len = roundrobin_cycle(pool->cycle, pool->retries, pool->count, pool->eligible);
}

static void
log_change(const struct backend *backend, bool up, const char *cause, const char *detail)
{
	struct log_line line;
	log_begin(&line, up ? LOG_LEVEL_INFO : LOG_LEVEL_WARNING, "health");
	log_text(&line, "pool", backend->pool->name);
	log_text(&line, "backend", backend->name);
	log_text(&line, "from", up ? "down" : "up");
	log_text(&line, "to", up ? "up" : "down");
	log_text(&line, "cause", cause);
	log_text(&line, "detail", detail);
	log_end(&line);
}

/* New members. */

int
pool_change_prepare(struct pool_change *change, struct pool *pool, const struct pool_conf *conf)
{
	size_t weights = 0;
	change->conf = conf;
	change->cycle = NULL;
	change->fresh = calloc(conf->backend_count, sizeof(struct backend *));
	if (!change->fresh)
		return -1;
	for (size_t i = 0; i < conf->backend_count; i++) {
		const struct backend_conf *backend = &conf->backends[i];
		weights += backend->weight;
		if (find_backend(pool, backend->name, &backend->address))
			continue;
		change->fresh[i] = backend_new(pool, backend);
		if (!change->fresh[i])
			goto fail;
	}
	change->cycle = malloc(weights);
	if (change->cycle)
		return 0;
fail:
	pool_change_drop(change);
	return -1;
}

void
pool_change_drop(struct pool_change *change)
{
	for (size_t i = 0; i < change->conf->backend_count; i++) {
		if (change->fresh[i])
			backend_unref(change->fresh[i]);
	}
	free(change->fresh);
	free(change->cycle);
}

void
pool_change_commit(struct pool_change *change, struct pool *pool)
{
	const struct pool_conf *conf = change->conf;
	struct backend **members = change->fresh;
	pthread_mutex_lock(&pool->mutex);
	for (size_t i = 0; i < conf->backend_count; i++) {
		const struct backend_conf *backend = &conf->backends[i];
		if (!members[i]) {
			members[i] = find_backend(pool, backend->name, &backend->address);
			members[i]->refs++;
		}
		members[i]->port = backend->port;
		members[i]->suspended &= conf->check.greeting_fall > 0;
		members[i]->slot = (unsigned)i;
	}
	for (unsigned i = 0; i < pool->count; i++)
		backend_unref(pool->members[i]);
	pool->count = (unsigned)conf->backend_count;
	for (unsigned i = 0; i < pool->count; i++) {
		pool->members[i] = members[i];
		pool->retries[i] = (struct smooth){.weight = conf->backends[i].weight};
	}
	free(pool->cycle);
	pool->cycle = change->cycle;
	pool->greeting_fall = conf->check.greeting_fall;
	rebuild(pool);
	pthread_mutex_unlock(&pool->mutex);
	free(change->fresh);
	pool->on_usable(pool->context);
}

/* What is measured and ordered. */

void
pool_probed(struct pool *pool, const char *name, const struct addr *address, bool up,
	const char *detail)
{
	pthread_mutex_lock(&pool->mutex);
	struct backend *backend = find_backend(pool, name, address);
	if (backend && backend->probe_up != up) {
		bool was_up = backend_is_up(backend);
		backend->probe_up = up;
		/* A relay that came back deserves its trial at once. */
		backend_schedule_first_trial(backend, 0);
		rebuild(pool);
		if (was_up != backend_is_up(backend))
			log_change(backend, up, "probe", detail);
	}
	pthread_mutex_unlock(&pool->mutex);
	if (up)
		pool->on_usable(pool->context);
}

int
pool_order(struct pool *pool, const char *name, enum admin_state state)
{
	pthread_mutex_lock(&pool->mutex);
	struct backend *backend = find_backend(pool, name, NULL);
	if (backend) {
		backend->admin = state;
		rebuild(pool);
	}
	pthread_mutex_unlock(&pool->mutex);
	if (!backend)
		return -1;
	pool->on_usable(pool->context);
	return 0;
}

/* Picking. */

bool
tried_is_empty(const struct tried *tried)
{
	static const struct tried none;
	return memcmp(tried, &none, sizeof(none)) == 0;
}

bool
tried_has(const struct tried *tried, unsigned slot)
{
	return bit_is_set(tried->bits, slot);
}

void
tried_add(struct tried *tried, unsigned slot)
{
	bit_set(tried->bits, slot);
}

/* A backend that is out by its greetings and whose trial is due, by `now`; the one that has waited
 * longest. Otherwise sets *again_ms to the moment of the next. */
static struct backend *
find_trial(struct pool *pool, const struct tried *tried, uint64_t now, uint64_t *again_ms)
{
	struct backend *next = NULL;
	for (unsigned i = 0; pool->suspended && i < pool->count; i++) {
		struct backend *backend = pool->members[i];
		if (!backend_awaits_trial(backend) || tried_has(tried, i))
			continue;
		if (!next || backend->trial_at_ms < next->trial_at_ms)
			next = backend;
	}
	if (next && next->trial_at_ms > now) {
		*again_ms = next->trial_at_ms;
		next = NULL;
	}
	return next;
}

static struct backend *
find_turn(struct pool *pool, const struct tried *tried, bool first)
{
	if (first)
		return pool->members[pool->cycle[pool->turn++ % pool->cycle_len]];
	uint64_t among[POOL_BACKENDS_MAX / 64];
	for (size_t i = 0; i < POOL_BACKENDS_MAX / 64; i++)
		among[i] = pool->eligible[i] & ~tried->bits[i];
	int chosen = smooth_choose(pool->retries, pool->count, among);
	return chosen < 0 ? NULL : pool->members[chosen];
}

static void
take(struct backend *backend, bool trial, struct tried *tried, struct pick *pick)
{
	tried_add(tried, backend->slot);
	backend->trial_running |= trial;
	backend->refs++;
	backend->active++;
	*pick = (struct pick){
		.backend = backend,
		.slot = backend->slot,
		.endpoint = {.addr = backend->address, .port = backend->port},
		.trial = trial,
	};
}

enum pick_result
pool_pick(struct pool *pool, struct tried *tried, bool first, struct pick *pick, uint64_t *again_ms)
{
	enum pick_result result = PICK_DONE;
	*again_ms = 0;
	pthread_mutex_lock(&pool->mutex);
	struct backend *backend = find_trial(pool, tried, clock_ms(), again_ms);
	bool trial = backend != NULL;
	if (!backend && pool->cycle_len == 0)
		result = PICK_NONE_UP;
	else if (!backend && !(backend = find_turn(pool, tried, first)))
		result = PICK_ALL_TRIED;
	if (backend)
		take(backend, trial, tried, pick);
	pthread_mutex_unlock(&pool->mutex);
	return result;
}

bool
pool_pick_early_trial(struct pool *pool, struct tried *tried, struct pick *pick)
{
	uint64_t never;
	pthread_mutex_lock(&pool->mutex);
	struct backend *backend = find_trial(pool, tried, UINT64_MAX, &never);
	if (backend)
		take(backend, true, tried, pick);
	pthread_mutex_unlock(&pool->mutex);
	return backend != NULL;
}

static void
log_suspension(const struct backend *backend, const char *why)
{
	char detail[128];
	snprintf(detail, sizeof(detail), "%u sessions in a row without a 220, the last: %s",
		backend->greetings_missed, why);
	log_change(backend, false, "greetings", detail);
}

static void
resume(struct pool *pool, struct backend *backend)
{
	backend->suspended = false;
	rebuild(pool);
	if (backend_is_up(backend))
		log_change(backend, true, "greetings", "a trial session was greeted");
}

static void
miss_greeting(struct pool *pool, struct backend *backend, const char *why)
{
	bool was_up = backend_is_up(backend);
	if (!backend_miss_greeting(backend, pool->greeting_fall))
		return;
	rebuild(pool);
	if (was_up)
		log_suspension(backend, why);
}

void
pool_attempted(const struct pick *pick, enum attempt_outcome outcome, const char *why)
{
	struct backend *backend = pick->backend;
	struct pool *pool = backend->pool;
	pthread_mutex_lock(&pool->mutex);
	bool was_suspended = backend->suspended;
	if (pick->trial)
		backend->trial_running = false;
	if (pick->trial && outcome == ATTEMPT_ABANDONED)
		backend_repeat_trial(backend);
	if (pick->trial && (outcome == ATTEMPT_FAILED || outcome == ATTEMPT_REPEATED))
		backend_postpone_trial(backend);
	if (outcome == ATTEMPT_FAILED)
		miss_greeting(pool, backend, why);
	if (outcome == ATTEMPT_GREETED)
		backend->greetings_missed = 0;
	if (outcome == ATTEMPT_GREETED && was_suspended)
		resume(pool, backend);
	bool tell = pick->trial || was_suspended != backend->suspended;
	pthread_mutex_unlock(&pool->mutex);
	if (tell)
		pool->on_usable(pool->context);
}

void
pool_release(struct backend *backend)
{
	struct pool *pool = backend->pool;
	pthread_mutex_lock(&pool->mutex);
	backend->active--;
	backend_unref(backend);
	pthread_mutex_unlock(&pool->mutex);
}

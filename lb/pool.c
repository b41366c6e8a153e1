/*
 * Pools: the state of their members, under each pool's mutex. How members come and go is in
 * pool_change.c, picking in pool_pick.c.
 * Threading and ownership: see pool.h.
 */
#include "lb/pool.h"

#include "lb/clock.h"
#include "lb/event.h"
#include "lb/metrics.h"
#include "lb/pool_state.h"
#include "lb/tally.h"
#include "lb/wall.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct pool *
pool_new(const char *name, unsigned workers, pool_usable_fn *on_usable, void *context)
{
	struct pool *pool = calloc(1, sizeof(*pool));
	if (!pool)
		return NULL;
	pool->name = strdup(name);
	if (!pool->name) {
		free(pool);
		return NULL;
	}
	pool->workers = workers;
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
	free(pool->name);
	free(pool);
}

const char *
pool_name(const struct pool *pool)
{
	return pool->name;
}

struct backend *
pool_find(const struct pool *pool, const char *name, const struct addr *address)
{
	for (unsigned i = 0; i < pool->count; i++) {
		struct backend *backend = pool->members[i];
		if (strcmp(backend->name, name) == 0 &&
			(!address || addr_equal(&backend->address, address)))
			return backend;
	}
	return NULL;
}

bool
pool_may_use(const struct pool *pool, const struct backend *backend)
{
	return backend->admin == ADMIN_READY && (backend_is_up(backend) || pool->opens);
}

static void
log_opening(const struct pool *pool)
{
	struct event event;
	event_begin(&event, pool->opens ? LOG_LEVEL_WARNING : LOG_LEVEL_INFO, "fail_open");
	event_text(&event, "pool", pool->name);
	event_text(&event, "state", pool->opens ? "on" : "off");
	event_text(&event, "detail",
		pool->opens ? "no backend is up: all that are ready are tried"
			    : "only backends that are up are tried");
	event_end(&event);
}

bool
pool_take_note(struct pool *pool)
{
	bool opens = pool->fail_open;
	for (unsigned i = 0; i < pool->count; i++) {
		const struct backend *backend = pool->members[i];
		if (backend->admin == ADMIN_READY && backend_is_up(backend))
			opens = false;
	}
	if (pool->opens != opens) {
		pool->opens = opens;
		log_opening(pool);
	}
	return pool_call_all(pool);
}

void
pool_unlock(struct pool *pool, bool tell)
{
	pthread_mutex_unlock(&pool->mutex);
	if (tell)
		pool->on_usable(pool->context);
}

void
pool_changed(struct backend *backend, bool up, const char *cause, const char *detail)
{
	backend->since_ms = wall_ms();
	struct event event;
	event_begin(&event, up ? LOG_LEVEL_INFO : LOG_LEVEL_WARNING, "health");
	event_text(&event, "pool", backend->pool->name);
	event_text(&event, "backend", backend->name);
	event_text(&event, "from", up ? "down" : "up");
	event_text(&event, "to", up ? "up" : "down");
	event_text(&event, "cause", cause);
	event_text(&event, "detail", detail);
	event_end(&event);
}

/* What is measured and ordered. */

void
pool_count_probe(struct pool *pool, const char *name, bool ok)
{
	pthread_mutex_lock(&pool->mutex);
	const struct backend *backend = pool_find(pool, name, NULL);
	if (backend) {
		struct backend_counts *counts = tally_block_of_main(backend->tally);
		tally_add(&counts->probes[ok ? PROBE_OUTCOME_OK : PROBE_OUTCOME_FAIL], 1);
	}
	pthread_mutex_unlock(&pool->mutex);
}

void
pool_note_probe(struct pool *pool, const char *name, const struct addr *address, bool ok,
	const char *detail)
{
	pthread_mutex_lock(&pool->mutex);
	struct backend *backend = pool_find(pool, name, address);
	if (backend) {
		struct probe_note *note = &backend->last_probe;
		note->at_ms = wall_ms();
		note->ok = ok;
		snprintf(note->detail, sizeof(note->detail), "%s", detail);
	}
	pthread_mutex_unlock(&pool->mutex);
}

void
pool_probed(struct pool *pool, const char *name, const struct addr *address, bool up,
	const char *detail)
{
	bool tell = false;
	pthread_mutex_lock(&pool->mutex);
	struct backend *backend = pool_find(pool, name, address);
	if (backend && backend->probe_up != up) {
		bool was_up = backend_is_up(backend);
		backend->probe_up = up;
		snprintf(backend->probe_why, sizeof(backend->probe_why), "%s", detail);
		/* A relay that came back deserves its trial at once. */
		backend_schedule_first_trial(backend, 0);
		if (was_up != backend_is_up(backend))
			pool_changed(backend, up, "probe", detail);
		tell = pool_take_note(pool);
	}
	pool_unlock(pool, tell);
}

static void
log_order(const struct backend *backend)
{
	struct event event;
	event_begin(&event, LOG_LEVEL_INFO, "admin");
	event_text(&event, "pool", backend->pool->name);
	event_text(&event, "backend", backend->name);
	event_text(&event, "state", admin_state_name(backend->admin));
	event_end(&event);
}

int
pool_order(struct pool *pool, const char *name, enum admin_state state, uint64_t drain_ms)
{
	bool tell = false;
	pthread_mutex_lock(&pool->mutex);
	struct backend *backend = pool_find(pool, name, NULL);
	if (backend) {
		uint64_t cut_at_ms = backend->cut_at_ms;
		if (state == ADMIN_READY)
			cut_at_ms = 0;
		else if (backend->admin == ADMIN_READY)
			cut_at_ms = clock_ms() + drain_ms;
		__atomic_store_n(&backend->cut_at_ms, cut_at_ms, __ATOMIC_RELAXED);
		backend->admin = state;
		log_order(backend);
		tell = pool_take_note(pool);
	}
	pool_unlock(pool, tell);
	return backend ? 0 : -1;
}

void
pool_restore(struct pool *pool, const struct backend_record *record)
{
	bool tell = false;
	pthread_mutex_lock(&pool->mutex);
	struct backend *backend = pool_find(pool, record->name, &record->address);
	if (backend) {
		backend_restore(backend, record, pool->greeting_fall > 0);
		tell = pool_take_note(pool);
	}
	pool_unlock(pool, tell);
}

uint64_t
pool_next_cut(struct pool *pool)
{
	uint64_t now = clock_ms(), next = 0;
	pthread_mutex_lock(&pool->mutex);
	for (unsigned i = 0; i < pool->count; i++) {
		uint64_t own = pool->members[i]->cut_at_ms;
		if (own > now && (!next || own < next))
			next = own;
	}
	pthread_mutex_unlock(&pool->mutex);
	return next;
}

bool
pool_is_draining(const struct backend *backend)
{
	return __atomic_load_n(&backend->cut_at_ms, __ATOMIC_RELAXED) > 0;
}

bool
pool_drain_is_over(const struct backend *backend)
{
	uint64_t cut_at_ms = __atomic_load_n(&backend->cut_at_ms, __ATOMIC_RELAXED);
	return cut_at_ms && cut_at_ms <= clock_ms();
}

/* What sessions tell. */

static void
resume(struct backend *backend, bool trial)
{
	backend->suspended = false;
	if (backend_is_up(backend))
		pool_changed(backend, true, "greetings",
			trial ? "a trial session was greeted" : "a session was greeted");
}

static void
miss_greeting(struct backend *backend, const char *why)
{
	bool was_up = backend_is_up(backend);
	if (!backend_miss_greeting(backend, backend->pool->greeting_fall))
		return;
	snprintf(backend->suspended_why, sizeof(backend->suspended_why),
		"%u sessions in a row without a 220, the last: %s", backend->greetings_missed, why);
	if (was_up)
		pool_changed(backend, false, "greetings", backend->suspended_why);
}

/* A trial has ended: when the next is due. */
static void
end_trial(struct backend *backend, enum attempt_outcome outcome)
{
	backend->trial_running = false;
	switch (outcome) {
	case ATTEMPT_GREETED:
		break;
	case ATTEMPT_ABANDONED:
		backend_repeat_trial(backend);
		break;
	case ATTEMPT_FAILED:
	case ATTEMPT_REPEATED:
		backend_postpone_trial(backend);
		break;
	}
}

void
pool_attempted(const struct pick *pick, enum attempt_outcome outcome, const char *why)
{
	struct backend *backend = pick->backend;
	struct pool *pool = backend->pool;
	pthread_mutex_lock(&pool->mutex);
	bool was_suspended = backend->suspended;
	if (pick->trial)
		end_trial(backend, outcome);
	if (outcome == ATTEMPT_FAILED)
		miss_greeting(backend, why);
	if (outcome == ATTEMPT_GREETED)
		backend->greetings_missed = 0;
	if (outcome == ATTEMPT_GREETED && was_suspended)
		resume(backend, pick->trial);
	bool changed = pick->trial || was_suspended != backend->suspended;
	pool_unlock(pool, changed && pool_take_note(pool));
}

void
pool_release(struct backend *backend)
{
	struct pool *pool = backend->pool;
	pthread_mutex_lock(&pool->mutex);
	bool was_full = backend_room(backend) == 0;
	backend->active--;
	if (backend->active == 0)
		pool_forget(pool, backend);
	/* One that is out by its greetings may have room for its trial now. */
	bool tell = was_full && (backend->suspended ? pool_call_all(pool) : pool_call_next(pool));
	backend_unref(backend);
	pool_unlock(pool, tell);
}

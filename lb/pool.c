/*
 * Pools: their members and the state of these, under each pool's mutex; picking is in pool_pick.c.
 * Threading and ownership: see pool.h.
 */
#include "lb/pool.h"

#include "lb/log.h"
#include "lb/pool_state.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

static void
log_opening(const struct pool *pool)
{
	struct log_line line;
	log_begin(&line, pool->opens ? LOG_LEVEL_WARNING : LOG_LEVEL_INFO, "fail_open");
	log_text(&line, "pool", pool->name);
	log_text(&line, "state", pool->opens ? "on" : "off");
	log_text(&line, "detail",
		pool->opens ? "no backend is up: all that are ready are tried"
			    : "only backends that are up are tried");
	log_end(&line);
}

/* After any change of what keeps a backend in or out, with the mutex held. Returns whether
 * on_usable is to be told. */
static bool
take_note(struct pool *pool)
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

static void
unlock_and_tell(struct pool *pool, bool tell)
{
	pthread_mutex_unlock(&pool->mutex);
	if (tell)
		pool->on_usable(pool->context);
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
	change->conf = conf;
	change->fresh = calloc(conf->backend_count, sizeof(struct backend *));
	if (!change->fresh)
		return -1;
	for (size_t i = 0; i < conf->backend_count; i++) {
		const struct backend_conf *backend = &conf->backends[i];
		if (find_backend(pool, backend->name, &backend->address))
			continue;
		change->fresh[i] = backend_new(pool, backend);
		if (!change->fresh[i]) {
			pool_change_drop(change);
			return -1;
		}
	}
	return 0;
}

void
pool_change_drop(struct pool_change *change)
{
	for (size_t i = 0; i < change->conf->backend_count; i++) {
		if (change->fresh[i])
			backend_unref(change->fresh[i]);
	}
	free(change->fresh);
}

static bool
has_mark(const struct pool *pool, unsigned mark)
{
	for (unsigned i = 0; i < pool->count; i++) {
		if (pool->members[i]->mark == mark)
			return true;
	}
	return false;
}

/* One that no member has, and none of those had who went most recently. */
static unsigned
next_mark(struct pool *pool)
{
	do {
		pool->last_mark = (pool->last_mark + 1) % MARKS_MAX;
	} while (has_mark(pool, pool->last_mark));
	return pool->last_mark;
}

static int
index_of(const struct pool *pool, const struct backend *backend)
{
	for (unsigned i = 0; i < pool->count; i++) {
		if (pool->members[i] == backend)
			return (int)i;
	}
	return -1;
}

/* Greetings count no more: who was out by them is in again. */
static void
forget_greetings(struct backend *backend)
{
	bool was_up = backend_is_up(backend);
	backend->suspended = false;
	backend->greetings_missed = 0;
	if (!was_up && backend_is_up(backend))
		log_change(backend, true, "greetings", "greeting_fall is 0 now");
}

/* Fills the places of those who stay, each with a reference. */
static void
keep_old_members(const struct pool *pool, struct pool_change *change)
{
	for (size_t i = 0; i < change->conf->backend_count; i++) {
		const struct backend_conf *conf = &change->conf->backends[i];
		if (change->fresh[i])
			continue;
		change->fresh[i] = find_backend(pool, conf->name, &conf->address);
		change->fresh[i]->refs++;
	}
}

static void
replace_members(struct pool *pool, const struct pool_change *change)
{
	unsigned count = (unsigned)change->conf->backend_count;
	int from[POOL_BACKENDS_MAX];
	unsigned weights[POOL_BACKENDS_MAX];
	for (unsigned i = 0; i < count; i++) {
		struct backend *backend = change->fresh[i];
		from[i] = index_of(pool, backend);
		weights[i] = change->conf->backends[i].weight;
		if (from[i] < 0)
			backend->mark = next_mark(pool);
		backend_configure(backend, &change->conf->backends[i]);
	}
	rotation_change(&pool->firsts, count, from, weights);
	rotation_change(&pool->retries, count, from, weights);
	for (unsigned i = 0; i < pool->count; i++)
		backend_unref(pool->members[i]);
	memcpy(pool->members, change->fresh, count * sizeof(struct backend *));
	pool->count = count;
}

void
pool_change_commit(struct pool_change *change, struct pool *pool)
{
	const struct pool_conf *conf = change->conf;
	pthread_mutex_lock(&pool->mutex);
	keep_old_members(pool, change);
	replace_members(pool, change);
	pool->balance = conf->balance;
	pool->fail_open = conf->fail_open;
	pool->greeting_fall = conf->check.greeting_fall;
	for (unsigned i = 0; pool->greeting_fall == 0 && i < pool->count; i++)
		forget_greetings(pool->members[i]);
	unlock_and_tell(pool, take_note(pool));
	free(change->fresh);
}

/* What is measured and ordered. */

void
pool_probed(struct pool *pool, const char *name, const struct addr *address, bool up,
	const char *detail)
{
	bool tell = false;
	pthread_mutex_lock(&pool->mutex);
	struct backend *backend = find_backend(pool, name, address);
	if (backend && backend->probe_up != up) {
		bool was_up = backend_is_up(backend);
		backend->probe_up = up;
		/* A relay that came back deserves its trial at once. */
		backend_schedule_first_trial(backend, 0);
		if (was_up != backend_is_up(backend))
			log_change(backend, up, "probe", detail);
		tell = take_note(pool);
	}
	unlock_and_tell(pool, tell);
}

int
pool_order(struct pool *pool, const char *name, enum admin_state state)
{
	bool tell = false;
	pthread_mutex_lock(&pool->mutex);
	struct backend *backend = find_backend(pool, name, NULL);
	if (backend) {
		backend->admin = state;
		tell = take_note(pool);
	}
	unlock_and_tell(pool, tell);
	return backend ? 0 : -1;
}

/* What sessions tell. */

static void
log_suspension(const struct backend *backend, const char *why)
{
	char detail[128];
	snprintf(detail, sizeof(detail), "%u sessions in a row without a 220, the last: %s",
		backend->greetings_missed, why);
	log_change(backend, false, "greetings", detail);
}

static void
resume(struct backend *backend, bool trial)
{
	backend->suspended = false;
	if (backend_is_up(backend))
		log_change(backend, true, "greetings",
			trial ? "a trial session was greeted" : "a session was greeted");
}

static void
miss_greeting(struct backend *backend, const char *why)
{
	bool was_up = backend_is_up(backend);
	if (backend_miss_greeting(backend, backend->pool->greeting_fall) && was_up)
		log_suspension(backend, why);
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
	unlock_and_tell(pool, changed && take_note(pool));
}

void
pool_release(struct backend *backend)
{
	struct pool *pool = backend->pool;
	pthread_mutex_lock(&pool->mutex);
	bool was_full = backend_room(backend) == 0;
	backend->active--;
	/* One that is out by its greetings may have room for its trial now. */
	bool tell = was_full && (backend->suspended ? pool_call_all(pool) : pool_call_next(pool));
	backend_unref(backend);
	unlock_and_tell(pool, tell);
}

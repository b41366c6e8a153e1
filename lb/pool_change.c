/*
 * A pool's members: how they change from one configuration to the next. Threading and ownership:
 * see pool.h.
 */
#include "lb/pool.h"

#include "lb/metrics.h"
#include "lb/pool_state.h"
#include "lb/tally.h"

#include <stdlib.h>
#include <string.h>

/* Those who are no members any more, but have sessions still: if they come back, these count. */

static struct backend *
find_former(const struct pool *pool, const struct backend_conf *conf)
{
	struct backend *backend = pool->former;
	while (backend && !(strcmp(backend->name, conf->name) == 0 &&
				  addr_equal(&backend->address, &conf->address)))
		backend = backend->next_former;
	return backend;
}

void
pool_forget(struct pool *pool, const struct backend *backend)
{
	struct backend **link = &pool->former;
	while (*link && *link != backend)
		link = &(*link)->next_former;
	if (*link)
		*link = backend->next_former;
}

/* Gives up membership, its reference with it. */
static void
dismiss(struct pool *pool, struct backend *backend)
{
	if (backend->active > 0) {
		backend->next_former = pool->former;
		pool->former = backend;
	}
	backend_unref(backend);
}

/* The members of the next configuration. */

/* That of who has the name now, at another address, or had it; NULL for none. */
static struct tally *
find_tally(const struct pool *pool, const char *name)
{
	const struct backend *backend = pool_find(pool, name, NULL);
	if (!backend)
		backend = pool->former;
	while (backend && strcmp(backend->name, name) != 0)
		backend = backend->next_former;
	return backend ? backend->tally : NULL;
}

/* One that is to become a member, with a reference: it has been one and is not forgotten, or is
 * new. */
static struct backend *
find_or_make(struct pool *pool, const struct backend_conf *conf)
{
	struct tally *tally = NULL;
	pthread_mutex_lock(&pool->mutex);
	struct backend *backend = find_former(pool, conf);
	if (backend)
		backend->refs++;
	else if ((tally = find_tally(pool, conf->name)))
		tally_ref(tally);
	pthread_mutex_unlock(&pool->mutex);
	if (backend)
		return backend;
	if (!tally)
		tally = tally_new(sizeof(struct backend_counts), pool->workers);
	if (tally)
		backend = backend_new(pool, conf, tally);
	tally_unref(tally);
	return backend;
}

int
pool_change_prepare(struct pool_change *change, struct pool *pool, const struct pool_conf *conf)
{
	change->conf = conf;
	change->pool = pool;
	change->fresh = calloc(conf->backend_count, sizeof(struct backend *));
	if (!change->fresh)
		return -1;
	for (size_t i = 0; i < conf->backend_count; i++) {
		const struct backend_conf *backend = &conf->backends[i];
		if (pool_find(pool, backend->name, &backend->address))
			continue;
		change->fresh[i] = find_or_make(pool, backend);
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
	struct pool *pool = change->pool;
	pthread_mutex_lock(&pool->mutex);
	for (size_t i = 0; i < change->conf->backend_count; i++) {
		if (change->fresh[i])
			backend_unref(change->fresh[i]);
	}
	pthread_mutex_unlock(&pool->mutex);
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
		pool_changed(backend, true, "greetings", "greeting_fall is 0 now");
}

static void
welcome(struct pool *pool, struct backend *backend)
{
	pool_forget(pool, backend);
	backend_reset(backend);
	backend->mark = next_mark(pool);
}

/* Fills the places of those who stay, each with a reference. */
static void
keep_old_members(const struct pool *pool, struct pool_change *change)
{
	for (size_t i = 0; i < change->conf->backend_count; i++) {
		const struct backend_conf *conf = &change->conf->backends[i];
		if (change->fresh[i])
			continue;
		change->fresh[i] = pool_find(pool, conf->name, &conf->address);
		change->fresh[i]->refs++;
	}
}

static bool
is_among(const struct backend *backend, const struct pool_change *change)
{
	for (size_t i = 0; i < change->conf->backend_count; i++) {
		if (change->fresh[i] == backend)
			return true;
	}
	return false;
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
			welcome(pool, backend);
		backend_configure(backend, &change->conf->backends[i]);
	}
	rotation_change(&pool->firsts, count, from, weights);
	rotation_change(&pool->retries, count, from, weights);
	for (unsigned i = 0; i < pool->count; i++) {
		if (is_among(pool->members[i], change))
			backend_unref(pool->members[i]);
		else
			dismiss(pool, pool->members[i]);
	}
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
	pool_unlock(pool, pool_take_note(pool));
	free(change->fresh);
}

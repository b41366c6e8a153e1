/*
 * Picking: who may take a session, which of them does, and whose turn it is among those who wait.
 * Threading and ownership: see pool.h.
 */
#include "lb/pool.h"

#include "lb/balance_leastconn.h"
#include "lb/balance_source.h"
#include "lb/clock.h"
#include "lb/pool_state.h"

#include <limits.h>

enum tier {
	TIER_REGULAR,
	TIER_BACKUP,
	TIERS,
};

/* The pool as one session finds it. */
struct survey {
	struct member_set open[TIERS]; /* could take it now */
	struct member_set due[TIERS];  /* out by their greetings, and due for a trial */
	uint64_t room;                 /* of all the open, UINT64_MAX for no limit */
	uint64_t again_ms;             /* when the next trial is due; 0 = none in sight */
	bool any_full;                 /* could, if it had room */
	bool any_tried;                /* could, if this session had not tried it */
};

static uint64_t
add_room(uint64_t room, const struct backend *backend)
{
	unsigned more = backend_room(backend);
	return more == UINT_MAX || room == UINT64_MAX ? UINT64_MAX : room + more;
}

static void
survey_trial(struct survey *survey, const struct backend *backend, unsigned index, uint64_t now)
{
	if (!backend_awaits_trial(backend) || backend_room(backend) == 0)
		return;
	if (backend->trial_at_ms <= now)
		member_set_add(&survey->due[backend->backup], index);
	else if (!survey->again_ms || backend->trial_at_ms < survey->again_ms)
		survey->again_ms = backend->trial_at_ms;
}

static struct survey
survey_pool(const struct pool *pool, const struct tried *tried, uint64_t now)
{
	struct survey survey = {.room = 0};
	for (unsigned i = 0; i < pool->count; i++) {
		const struct backend *backend = pool->members[i];
		bool in = pool_may_use(pool, backend);
		if (tried_has(tried, backend->mark)) {
			survey.any_tried |= in;
		} else if (!in) {
			survey_trial(&survey, backend, i, now);
		} else if (backend_room(backend) == 0) {
			survey.any_full = true;
		} else {
			member_set_add(&survey.open[backend->backup], i);
			survey.room = add_room(survey.room, backend);
		}
	}
	return survey;
}

/* The line. */

static bool
could_take_one(const struct pool *pool, const struct claim *claim)
{
	for (unsigned i = 0; i < pool->count; i++) {
		const struct backend *backend = pool->members[i];
		if (pool_may_use(pool, backend) && backend_room(backend) > 0 &&
			!tried_has(&claim->tried, backend->mark))
			return true;
	}
	return false;
}

/* Whether those before it in the line leave something of what is open for this claim. */
static bool
is_its_turn(const struct pool *pool, const struct claim *claim, uint64_t room)
{
	if (room == UINT64_MAX)
		return true;
	for (const struct claim *other = pool->line.first; other && other != claim && room > 0;
		other = other->next)
		room -= could_take_one(pool, other);
	return room > 0;
}

bool
pool_call_next(struct pool *pool)
{
	uint64_t room = 0;
	bool tell = false;
	if (!pool->line.first)
		return false;
	for (unsigned i = 0; i < pool->count; i++) {
		if (pool_may_use(pool, pool->members[i]))
			room = add_room(room, pool->members[i]);
	}
	for (struct claim *claim = pool->line.first; claim && room > 0; claim = claim->next) {
		if (!could_take_one(pool, claim))
			continue;
		tell |= !__atomic_exchange_n(&claim->called, true, __ATOMIC_RELAXED);
		if (room != UINT64_MAX)
			room--;
	}
	return tell;
}

bool
pool_call_all(struct pool *pool)
{
	for (struct claim *claim = pool->line.first; claim; claim = claim->next)
		__atomic_store_n(&claim->called, true, __ATOMIC_RELAXED);
	return pool->line.first != NULL;
}

bool
pool_has_called(const struct claim *claim)
{
	return __atomic_load_n(&claim->called, __ATOMIC_RELAXED);
}

void
pool_leave(struct pool *pool, struct claim *claim)
{
	pthread_mutex_lock(&pool->mutex);
	line_leave(&pool->line, claim);
	/* What it was called to is the next one's. */
	bool tell = pool_has_called(claim) && pool_call_next(pool);
	pool_unlock(pool, tell);
}

/* The choice. Each of these returns an index, -1 for none. */

/* Of those that await their trial, the one that has waited longest. */
static int
find_trial(const struct pool *pool, const struct member_set *among)
{
	int next = -1;
	for (unsigned i = 0; i < pool->count; i++) {
		if (!member_set_has(among, i))
			continue;
		if (next < 0 || pool->members[i]->trial_at_ms < pool->members[next]->trial_at_ms)
			next = (int)i;
	}
	return next;
}

static int
find_nearest(const struct pool *pool, const struct claim *claim, const struct member_set *open,
	const struct member_set *due)
{
	int nearest = -1;
	double least = 0;
	for (unsigned i = 0; i < pool->count; i++) {
		const struct backend *backend = pool->members[i];
		if (!member_set_has(open, i) && !member_set_has(due, i))
			continue;
		double rank = source_rank(claim->client, backend->hash, backend->weight);
		if (nearest < 0 || rank < least) {
			nearest = (int)i;
			least = rank;
		}
	}
	return nearest;
}

static int
find_turn(struct pool *pool, const struct claim *claim, const struct member_set *open)
{
	struct rotation *rotation = claim->has_picked ? &pool->retries : &pool->firsts;
	if (pool->balance == BALANCE_LEASTCONN) {
		struct member_set least = leastconn_least(pool->members, pool->count, open);
		return rotation_take(rotation, &least);
	}
	return rotation_take(rotation, open);
}

static int
choose(struct pool *pool, const struct claim *claim, const struct survey *survey)
{
	for (int tier = 0; tier < TIERS; tier++) {
		const struct member_set *open = &survey->open[tier], *due = &survey->due[tier];
		/* By source, a trial is for the backend's own clients. */
		int chosen = pool->balance == BALANCE_SOURCE ? find_nearest(pool, claim, open, due)
							     : find_trial(pool, due);
		if (chosen < 0)
			chosen = find_turn(pool, claim, open);
		if (chosen >= 0)
			return chosen;
	}
	return -1;
}

static void
take(struct pool *pool, struct backend *backend, bool trial, struct claim *claim, struct pick *pick)
{
	line_leave(&pool->line, claim);
	claim->has_picked = true;
	tried_add(&claim->tried, backend->mark);
	backend->trial_running |= trial;
	backend->refs++;
	backend->active++;
	*pick = (struct pick){
		.backend = backend,
		.mark = backend->mark,
		.port = backend->port,
		.trial = trial,
	};
}

/* Returns whether it was called. */
static bool
begin_pick(struct claim *claim)
{
	if (claim->begins_round)
		claim->tried = (struct tried){{0}};
	claim->begins_round = false;
	return __atomic_exchange_n(&claim->called, false, __ATOMIC_RELAXED);
}

enum pick_result
pool_pick(struct pool *pool, struct claim *claim, struct pick *pick, uint64_t *again_ms)
{
	enum pick_result result = PICK_DONE;
	pthread_mutex_lock(&pool->mutex);
	bool was_called = begin_pick(claim);
	struct survey survey = survey_pool(pool, &claim->tried, clock_ms());
	if (survey.room > 0 && !is_its_turn(pool, claim, survey.room)) {
		survey.open[TIER_REGULAR] = survey.open[TIER_BACKUP] = (struct member_set){{0}};
		survey.any_full = true;
	}
	int chosen = choose(pool, claim, &survey);
	if (chosen >= 0) {
		struct backend *backend = pool->members[chosen];
		take(pool, backend, !pool_may_use(pool, backend), claim, pick);
	} else {
		line_join(&pool->line, claim);
		result = survey.any_full    ? PICK_NONE_FREE
			 : survey.any_tried ? PICK_ALL_TRIED
					    : PICK_NONE_UP;
	}
	*again_ms = survey.again_ms;
	/* What it was called to may not be what it took. */
	bool tell = was_called && pool_call_next(pool);
	pool_unlock(pool, tell);
	return result;
}

bool
pool_pick_early_trial(struct pool *pool, struct claim *claim, struct pick *pick)
{
	int chosen = -1;
	pthread_mutex_lock(&pool->mutex);
	bool was_called = begin_pick(claim);
	struct survey survey = survey_pool(pool, &claim->tried, UINT64_MAX);
	for (int tier = 0; chosen < 0 && tier < TIERS; tier++)
		chosen = find_trial(pool, &survey.due[tier]);
	if (chosen >= 0)
		take(pool, pool->members[chosen], true, claim, pick);
	bool tell = was_called && pool_call_next(pool);
	pool_unlock(pool, tell);
	return chosen >= 0;
}

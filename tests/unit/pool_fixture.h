/*
 * A pool of relay0, relay1, ... that a test fills, changes and picks from.
 */
#ifndef TESTS_UNIT_POOL_FIXTURE_H
#define TESTS_UNIT_POOL_FIXTURE_H

#include "lb/log.h"
#include "lb/pool_set.h"

#include <check.h>
#include <stdio.h>
#include <string.h>

enum {
	MEMBERS_MAX = 8,
};

/* A snapshot with one pool, filled by hand. */
struct fixture {
	struct snapshot snapshot;
	struct pool_conf conf;
	struct backend_conf backends[MEMBERS_MAX];
	char names[MEMBERS_MAX][16];
	struct pool_set *set;
	unsigned told_usable; /* atomic */
};

static char pool_name_text[] = "relays";

static inline void
on_usable(void *context)
{
	struct fixture *fixture = context;
	__atomic_add_fetch(&fixture->told_usable, 1, __ATOMIC_RELAXED);
}

/* Puts what the fixture says now into effect. */
static inline struct pool *
apply(struct fixture *fixture)
{
	struct pool_plan *plan = pool_plan_new(fixture->set, &fixture->snapshot);
	ck_assert_ptr_nonnull(plan);
	pool_plan_commit(plan);
	return pool_set_find(fixture->set, pool_name_text);
}

static inline struct pool *
configure(struct fixture *fixture, size_t count, const unsigned *weights)
{
	fixture->snapshot.pools = &fixture->conf;
	fixture->snapshot.pool_count = 1;
	fixture->conf.name = pool_name_text;
	fixture->conf.check.greeting_fall = 3;
	fixture->conf.backends = fixture->backends;
	fixture->conf.backend_count = count;
	for (size_t i = 0; i < count; i++) {
		char text[32];
		snprintf(fixture->names[i], sizeof(fixture->names[i]), "relay%zu", i);
		snprintf(text, sizeof(text), "192.0.2.%zu", i + 1);
		fixture->backends[i].name = fixture->names[i];
		fixture->backends[i].weight = weights ? weights[i] : 1;
		ck_assert_int_eq(addr_parse(&fixture->backends[i].address, text), 0);
	}
	return apply(fixture);
}

static inline struct pool *
begin(struct fixture *fixture, size_t count, const unsigned *weights)
{
	memset(fixture, 0, sizeof(*fixture));
	log_set_level(LOG_LEVEL_ERROR);
	fixture->set = pool_set_new(1, on_usable, fixture);
	return configure(fixture, count, weights);
}

/* Its place in the configuration. */
static inline int
number_of(const struct pick *pick)
{
	return pick->backend->name[5] - '0';
}

/* A first pick by a fresh session that ends as said; the backend's number, or -1 with none. */
static inline int
pick(struct pool *pool, enum attempt_outcome outcome)
{
	struct claim claim = {.client = 0};
	struct pick pick;
	uint64_t again_ms;
	if (pool_pick(pool, &claim, &pick, &again_ms) != PICK_DONE) {
		pool_leave(pool, &claim);
		return -1;
	}
	int number = number_of(&pick);
	pool_attempted(&pick, outcome, "a test");
	pool_release(pick.backend);
	return number;
}

static inline void
probe(struct fixture *fixture, struct pool *pool, size_t number, bool up)
{
	const struct backend_conf *conf = &fixture->backends[number];
	pool_probed(pool, conf->name, &conf->address, up, "a test");
}

#endif

/*
 * Picking under every setting of a pool: limits and the line before them, backups, least
 * connections, source, fail_open; from one thread and from many.
 */
#include "lb/balance_source.h"
#include "tests/unit/pool_fixture.h"
#include "tests/unit/unit.h"

#include <pthread.h>
#include <sched.h>

enum {
	SESSIONS_MAX = 64,
	THREADS = 4,
	ROUNDS = 2000, /* a thread */
};

/* A session that picks, holds what it got, and ends. */
struct user {
	struct pool *pool;
	struct claim claim;
	struct pick pick;
	bool holds;
};

static void
user_init(struct user *user, struct pool *pool)
{
	*user = (struct user){.pool = pool};
}

static enum pick_result
user_pick(struct user *user)
{
	uint64_t again_ms;
	ck_assert(!user->holds);
	enum pick_result result = pool_pick(user->pool, &user->claim, &user->pick, &again_ms);
	user->holds = result == PICK_DONE;
	return result;
}

/* The number of the backend it gets. */
static int
user_gets(struct user *user)
{
	ck_assert_int_eq(user_pick(user), PICK_DONE);
	return number_of(&user->pick);
}

static void
user_ends_attempt(struct user *user, enum attempt_outcome outcome)
{
	pool_attempted(&user->pick, outcome, "a test");
	pool_release(user->pick.backend);
	user->holds = false;
}

static void
user_leaves(struct user *user)
{
	if (user->holds)
		user_ends_attempt(user, ATTEMPT_GREETED);
	pool_leave(user->pool, &user->claim);
}

/* Picks and fails, one backend after the other; the numbers as digits, until none is left. */
static const char *
order_of(struct user *user)
{
	static char text[MEMBERS_MAX + 1];
	size_t len = 0;
	while (user_pick(user) == PICK_DONE) {
		ck_assert_uint_lt(len, MEMBERS_MAX);
		text[len++] = (char)('0' + number_of(&user->pick));
		user_ends_attempt(user, ATTEMPT_ABANDONED);
	}
	text[len] = '\0';
	pool_leave(user->pool, &user->claim);
	return text;
}

static const char *
order_of_fresh(struct pool *pool)
{
	struct user user;
	user_init(&user, pool);
	return order_of(&user);
}

/* Limits. */

START_TEST(test_a_full_backend_gets_no_more)
{
	struct fixture fixture;
	struct pool *pool = begin(&fixture, 3, NULL);
	struct user users[10];
	unsigned times[3] = {0};
	fixture.backends[1].max_sessions = 2;
	apply(&fixture);
	for (int i = 0; i < 10; i++) {
		user_init(&users[i], pool);
		times[user_gets(&users[i])]++;
	}
	ck_assert_uint_eq(times[0], 4);
	ck_assert_uint_eq(times[1], 2);
	ck_assert_uint_eq(times[2], 4);
	for (int i = 0; i < 10; i++)
		user_leaves(&users[i]);
	pool_set_free(fixture.set);
}
END_TEST

/* An attempt counts from its pick on, and a full backend is not among the tried. */
START_TEST(test_full_is_not_tried)
{
	struct fixture fixture;
	struct pool *pool = begin(&fixture, 2, NULL);
	struct user first, second;
	fixture.backends[0].max_sessions = 1;
	apply(&fixture);
	user_init(&first, pool);
	user_init(&second, pool);
	ck_assert_int_eq(user_gets(&first), 0);
	ck_assert_int_eq(user_gets(&second), 1);
	user_ends_attempt(&second, ATTEMPT_FAILED);
	ck_assert_int_eq(user_pick(&second), PICK_NONE_FREE);
	user_leaves(&first);
	ck_assert(pool_has_called(&second.claim));
	ck_assert_int_eq(user_gets(&second), 0);
	user_ends_attempt(&second, ATTEMPT_FAILED);
	ck_assert_int_eq(user_pick(&second), PICK_ALL_TRIED);
	user_leaves(&second);
	pool_set_free(fixture.set);
}
END_TEST

START_TEST(test_first_come_first_served)
{
	struct fixture fixture;
	struct pool *pool = begin(&fixture, 1, NULL);
	struct user holder, waiters[3], late;
	fixture.backends[0].max_sessions = 1;
	apply(&fixture);
	user_init(&holder, pool);
	user_init(&late, pool);
	user_gets(&holder);
	for (int i = 0; i < 3; i++) {
		user_init(&waiters[i], pool);
		ck_assert_int_eq(user_pick(&waiters[i]), PICK_NONE_FREE);
	}
	unsigned told = fixture.told_usable;
	user_leaves(&holder);
	ck_assert_uint_eq(fixture.told_usable, told + 1);
	ck_assert(pool_has_called(&waiters[0].claim));
	ck_assert(!pool_has_called(&waiters[1].claim));
	/* Neither who comes now nor who is called by mistake goes before. */
	ck_assert_int_eq(user_pick(&late), PICK_NONE_FREE);
	ck_assert_int_eq(user_pick(&waiters[1]), PICK_NONE_FREE);
	ck_assert_int_eq(user_pick(&waiters[2]), PICK_NONE_FREE);
	ck_assert_int_eq(user_gets(&waiters[0]), 0);
	/* One that leaves gives way. */
	user_leaves(&waiters[1]);
	user_leaves(&waiters[0]);
	ck_assert(pool_has_called(&waiters[2].claim));
	/* ... even after it was called. */
	user_leaves(&waiters[2]);
	ck_assert(pool_has_called(&late.claim));
	ck_assert_int_eq(user_gets(&late), 0);
	user_leaves(&late);
	pool_set_free(fixture.set);
}
END_TEST

/* Two releases call two, though the first has not come yet. */
START_TEST(test_every_release_calls_one)
{
	struct fixture fixture;
	struct pool *pool = begin(&fixture, 2, NULL);
	struct user holders[2], waiters[3];
	fixture.backends[0].max_sessions = fixture.backends[1].max_sessions = 1;
	apply(&fixture);
	for (int i = 0; i < 2; i++) {
		user_init(&holders[i], pool);
		user_gets(&holders[i]);
	}
	for (int i = 0; i < 3; i++) {
		user_init(&waiters[i], pool);
		ck_assert_int_eq(user_pick(&waiters[i]), PICK_NONE_FREE);
	}
	user_leaves(&holders[0]);
	user_leaves(&holders[1]);
	ck_assert(pool_has_called(&waiters[0].claim) && pool_has_called(&waiters[1].claim));
	ck_assert(!pool_has_called(&waiters[2].claim));
	/* The second may come before the first: there is room for both. */
	ck_assert_int_eq(user_pick(&waiters[1]), PICK_DONE);
	ck_assert_int_eq(user_pick(&waiters[0]), PICK_DONE);
	for (int i = 0; i < 3; i++)
		user_leaves(&waiters[i]);
	pool_set_free(fixture.set);
}
END_TEST

/* The first in line has tried what is free now: it is no use to it, and the next one's. */
START_TEST(test_who_can_not_use_it_is_passed_over)
{
	struct fixture fixture;
	struct pool *pool = begin(&fixture, 2, NULL);
	struct user holders[2], picky, next;
	fixture.backends[0].max_sessions = fixture.backends[1].max_sessions = 1;
	apply(&fixture);
	user_init(&holders[0], pool);
	user_init(&holders[1], pool);
	user_init(&picky, pool);
	user_init(&next, pool);
	ck_assert_int_eq(user_gets(&picky), 0);
	ck_assert_int_eq(user_gets(&holders[1]), 1);
	user_ends_attempt(&picky, ATTEMPT_FAILED);
	ck_assert_int_eq(user_gets(&holders[0]), 0);
	ck_assert_int_eq(user_pick(&picky), PICK_NONE_FREE);
	ck_assert_int_eq(user_pick(&next), PICK_NONE_FREE);
	user_leaves(&holders[0]);
	ck_assert(!pool_has_called(&picky.claim));
	ck_assert(pool_has_called(&next.claim));
	ck_assert_int_eq(user_gets(&next), 0);
	/* In its next round it may have it again, and stands before all who came later. */
	claim_begin_round(&picky.claim);
	ck_assert_int_eq(user_pick(&picky), PICK_NONE_FREE);
	user_leaves(&next);
	ck_assert(pool_has_called(&picky.claim));
	user_leaves(&picky);
	user_leaves(&holders[1]);
	pool_set_free(fixture.set);
}
END_TEST

/* A session that is called for a place and makes a trial instead leaves the place to the next. */
START_TEST(test_called_to_one_and_taking_another)
{
	struct fixture fixture;
	struct pool *pool = begin(&fixture, 2, NULL);
	struct user holder, waiters[2];
	fixture.backends[1].max_sessions = 1;
	fixture.conf.check.greeting_fall = 1;
	apply(&fixture);
	ck_assert_int_eq(pick(pool, ATTEMPT_FAILED), 0);
	user_init(&holder, pool);
	ck_assert_int_eq(user_gets(&holder), 1);
	for (int i = 0; i < 2; i++) {
		user_init(&waiters[i], pool);
		ck_assert_int_eq(user_pick(&waiters[i]), PICK_NONE_FREE);
	}
	user_leaves(&holder);
	ck_assert(!pool_has_called(&waiters[1].claim));
	ck_assert(pool_pick_early_trial(pool, &waiters[0].claim, &waiters[0].pick));
	waiters[0].holds = true;
	ck_assert_int_eq(number_of(&waiters[0].pick), 0);
	ck_assert(pool_has_called(&waiters[1].claim));
	ck_assert_int_eq(user_gets(&waiters[1]), 1);
	user_leaves(&waiters[0]);
	user_leaves(&waiters[1]);
	pool_set_free(fixture.set);
}
END_TEST

START_TEST(test_limits_change)
{
	struct fixture fixture;
	struct pool *pool = begin(&fixture, 1, NULL);
	struct user users[4];
	fixture.backends[0].max_sessions = 1;
	apply(&fixture);
	for (int i = 0; i < 4; i++)
		user_init(&users[i], pool);
	user_gets(&users[0]);
	for (int i = 1; i < 4; i++)
		ck_assert_int_eq(user_pick(&users[i]), PICK_NONE_FREE);
	fixture.backends[0].max_sessions = 3;
	apply(&fixture);
	ck_assert_int_eq(user_pick(&users[3]), PICK_NONE_FREE);
	ck_assert_int_eq(user_pick(&users[1]), PICK_DONE);
	ck_assert_int_eq(user_pick(&users[2]), PICK_DONE);
	fixture.backends[0].max_sessions = 2;
	apply(&fixture);
	user_leaves(&users[0]);
	ck_assert_int_eq(user_pick(&users[3]), PICK_NONE_FREE);
	fixture.backends[0].max_sessions = 0;
	apply(&fixture);
	ck_assert(pool_has_called(&users[3].claim));
	ck_assert_int_eq(user_pick(&users[3]), PICK_DONE);
	for (int i = 1; i < 4; i++)
		user_leaves(&users[i]);
	pool_set_free(fixture.set);
}
END_TEST

/* Many threads, two backends with a limit, and one that a probe takes out and in. */

struct crowd {
	struct fixture fixture;
	struct pool *pool;
	unsigned in_use[2]; /* atomic */
	unsigned limits[2];
	unsigned served; /* atomic */
};

static void
use(struct crowd *crowd, const struct pick *pick)
{
	int number = number_of(pick);
	unsigned now = __atomic_add_fetch(&crowd->in_use[number], 1, __ATOMIC_SEQ_CST);
	ck_assert_uint_le(now, crowd->limits[number]);
	if (now % 2)
		sched_yield();
	__atomic_sub_fetch(&crowd->in_use[number], 1, __ATOMIC_SEQ_CST);
	pool_attempted(pick, ATTEMPT_GREETED, NULL);
	pool_release(pick->backend);
	__atomic_add_fetch(&crowd->served, 1, __ATOMIC_RELAXED);
}

/* Does nothing but wait while it is not called: a wake-up that is lost hangs here. */
static void *
come_and_go(void *argument)
{
	struct crowd *crowd = argument;
	for (int i = 0; i < ROUNDS; i++) {
		struct claim claim = {.client = 0};
		struct pick pick;
		uint64_t again_ms;
		while (pool_pick(crowd->pool, &claim, &pick, &again_ms) != PICK_DONE) {
			while (!pool_has_called(&claim))
				sched_yield();
			if (i % 7 == 0) /* gives up, called as it is */
				pool_leave(crowd->pool, &claim);
		}
		use(crowd, &pick);
	}
	return NULL;
}

START_TEST(test_limits_hold_over_threads)
{
	struct crowd crowd = {.limits = {1, 2}};
	pthread_t threads[THREADS];
	crowd.pool = begin(&crowd.fixture, 2, NULL);
	crowd.fixture.conf.balance = (enum balance)_i;
	crowd.fixture.backends[0].max_sessions = 1;
	crowd.fixture.backends[1].max_sessions = 2;
	apply(&crowd.fixture);
	for (int i = 0; i < THREADS; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, come_and_go, &crowd), 0);
	for (int i = 0; i < 500; i++)
		probe(&crowd.fixture, crowd.pool, 1, i % 2);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	ck_assert_uint_eq(crowd.served, THREADS * ROUNDS);
	pool_set_free(crowd.fixture.set);
}
END_TEST

/* Backups. */

START_TEST(test_backups_come_last)
{
	struct fixture fixture;
	struct pool *pool = begin(&fixture, 5, NULL);
	fixture.backends[0].backup = fixture.backends[3].backup = true;
	apply(&fixture);
	/* All that fails for a session: each of the others, then each backup. */
	for (int i = 0; i < 20; i++) {
		const char *order = order_of_fresh(pool);
		ck_assert_uint_eq(strlen(order), 5);
		ck_assert_uint_eq(strspn(order, "124"), 3);
	}
	for (int i = 0; i < 30; i++)
		ck_assert_int_ne(pick(pool, ATTEMPT_GREETED) % 3, 0);
	pool_set_free(fixture.set);
}
END_TEST

START_TEST(test_backups_share_among_themselves)
{
	struct fixture fixture;
	struct pool *pool = begin(&fixture, 3, NULL);
	unsigned times[3] = {0};
	fixture.conf.balance = (enum balance)_i;
	fixture.backends[0].backup = fixture.backends[2].backup = true;
	apply(&fixture);
	probe(&fixture, pool, 1, false);
	for (int i = 0; i < 10; i++)
		times[pick(pool, ATTEMPT_GREETED)]++;
	ck_assert_uint_eq(times[0], 5);
	ck_assert_uint_eq(times[2], 5);
	probe(&fixture, pool, 1, true);
	ck_assert_int_eq(pick(pool, ATTEMPT_GREETED), 1);
	pool_set_free(fixture.set);
}
END_TEST

/* Who is ordered out or full leaves the place to the backup as well. */
START_TEST(test_backup_stands_in_for_drained_and_full)
{
	struct fixture fixture;
	struct pool *pool = begin(&fixture, 2, NULL);
	struct user holder;
	fixture.backends[0].max_sessions = 1;
	fixture.backends[1].backup = true;
	apply(&fixture);
	user_init(&holder, pool);
	ck_assert_int_eq(user_gets(&holder), 0);
	ck_assert_int_eq(pick(pool, ATTEMPT_GREETED), 1);
	user_leaves(&holder);
	ck_assert_int_eq(pick(pool, ATTEMPT_GREETED), 0);
	pool_order(pool, "relay0", ADMIN_DRAIN, 1000);
	ck_assert_int_eq(pick(pool, ATTEMPT_GREETED), 1);
	pool_set_free(fixture.set);
}
END_TEST

/* A trial of a backup that is out would send a session there while the others are well. */
START_TEST(test_backup_has_no_trial_while_others_are_well)
{
	struct fixture fixture;
	struct pool *pool = begin(&fixture, 2, NULL);
	fixture.conf.check.greeting_fall = 1;
	fixture.backends[1].backup = true;
	apply(&fixture);
	pool_order(pool, "relay0", ADMIN_DRAIN, 1000);
	ck_assert_int_eq(pick(pool, ATTEMPT_FAILED), 1);
	pool_order(pool, "relay0", ADMIN_READY, 1000);
	probe(&fixture, pool, 1, false);
	probe(&fixture, pool, 1, true); /* its trial is due */
	for (int i = 0; i < 5; i++)
		ck_assert_int_eq(pick(pool, ATTEMPT_GREETED), 0);
	ck_assert_str_eq(order_of_fresh(pool), "01");
	pool_set_free(fixture.set);
}
END_TEST

/* Least connections. */

START_TEST(test_leastconn_levels_out)
{
	static const unsigned weights[] = {1, 2, 3};
	struct fixture fixture;
	struct pool *pool = begin(&fixture, 3, weights);
	struct user users[SESSIONS_MAX];
	unsigned seed = 1, active[3] = {0};
	fixture.conf.balance = BALANCE_LEASTCONN;
	apply(&fixture);
	for (int i = 0; i < 60; i++)
		user_init(&users[i], pool);
	for (int i = 0; i < 2000; i++) {
		struct user *user = &users[rand_r(&seed) % 60];
		if (user->holds) {
			active[number_of(&user->pick)]--;
			user_leaves(user);
			user_init(user, pool);
			continue;
		}
		int got = user_gets(user);
		for (int j = 0; j < 3; j++)
			ck_assert_uint_le(active[got] * weights[j], active[j] * weights[got]);
		active[got]++;
	}
	for (int i = 0; i < 60; i++)
		user_leaves(&users[i]);
	pool_set_free(fixture.set);
}
END_TEST

/* With nothing to tell them apart they take turns. */
START_TEST(test_leastconn_takes_turns_on_a_tie)
{
	struct fixture fixture;
	struct pool *pool = begin(&fixture, 3, NULL);
	fixture.conf.balance = BALANCE_LEASTCONN;
	apply(&fixture);
	for (int i = 0; i < 30; i++)
		ck_assert_int_eq(pick(pool, ATTEMPT_GREETED), i % 3);
	pool_set_free(fixture.set);
}
END_TEST

/* Source. */

static void
client_init(struct user *user, struct pool *pool, unsigned number)
{
	struct addr client = {
		.family = ADDR_V4, .bytes = {10, 0, (uint8_t)(number >> 8), (uint8_t)number}};
	user_init(user, pool);
	claim_init(&user->claim, &client);
}

static int
home_of(struct pool *pool, unsigned number)
{
	struct user user;
	client_init(&user, pool, number);
	int home = user_gets(&user);
	user_leaves(&user);
	return home;
}

START_TEST(test_source_order_is_kept)
{
	struct fixture fixture;
	struct pool *pool = begin(&fixture, 4, NULL);
	fixture.conf.balance = BALANCE_SOURCE;
	apply(&fixture);
	for (unsigned number = 0; number < 200; number++) {
		struct user user;
		char order[MEMBERS_MAX + 1];
		client_init(&user, pool, number);
		snprintf(order, sizeof(order), "%s", order_of(&user));
		ck_assert_uint_eq(strlen(order), 4);
		int home = order[0] - '0', next = order[1] - '0';
		ck_assert_int_eq(home_of(pool, number), home);
		probe(&fixture, pool, (size_t)home, false);
		ck_assert_int_eq(home_of(pool, number), next);
		probe(&fixture, pool, (size_t)home, true);
		ck_assert_int_eq(home_of(pool, number), home);
	}
	pool_set_free(fixture.set);
}
END_TEST

START_TEST(test_source_and_a_full_backend)
{
	struct fixture fixture;
	struct pool *pool = begin(&fixture, 2, NULL);
	struct user holder, other;
	fixture.conf.balance = BALANCE_SOURCE;
	fixture.backends[0].max_sessions = fixture.backends[1].max_sessions = 1;
	apply(&fixture);
	int home = home_of(pool, 1);
	client_init(&holder, pool, 1);
	client_init(&other, pool, 1);
	ck_assert_int_eq(user_gets(&holder), home);
	ck_assert_int_eq(user_gets(&other), 1 - home);
	user_leaves(&other);
	user_leaves(&holder);
	ck_assert_int_eq(home_of(pool, 1), home);
	pool_set_free(fixture.set);
}
END_TEST

/* Members in another order, a new one, a changed address: only names count. */
START_TEST(test_source_and_a_change_of_members)
{
	struct fixture fixture;
	struct pool *pool = begin(&fixture, 4, NULL);
	int homes[500];
	unsigned moved = 0;
	fixture.conf.balance = BALANCE_SOURCE;
	fixture.conf.backend_count = 3;
	apply(&fixture);
	for (unsigned i = 0; i < 500; i++)
		homes[i] = home_of(pool, i);
	struct backend_conf first = fixture.backends[0];
	fixture.backends[0] = fixture.backends[2];
	fixture.backends[2] = first;
	fixture.backends[1].address.bytes[3] = 99;
	apply(&fixture);
	for (unsigned i = 0; i < 500; i++)
		ck_assert_int_eq(home_of(pool, i), homes[i]);
	fixture.conf.backend_count = 4;
	apply(&fixture);
	for (unsigned i = 0; i < 500; i++) {
		int home = home_of(pool, i);
		ck_assert(home == homes[i] || home == 3);
		moved += home == 3;
	}
	ck_assert_uint_ge(moved, 95);
	ck_assert_uint_le(moved, 155);
	pool_set_free(fixture.set);
}
END_TEST

/* The trial of a backend that is out by its greetings is made by a client of its own. */
START_TEST(test_source_and_trials)
{
	struct fixture fixture;
	struct pool *pool = begin(&fixture, 2, NULL);
	unsigned own = 0, foreign = 0;
	fixture.conf.balance = BALANCE_SOURCE;
	fixture.conf.check.greeting_fall = 1;
	apply(&fixture);
	while (home_of(pool, own) != 0)
		own++;
	while (home_of(pool, foreign) != 1)
		foreign++;
	struct user user;
	client_init(&user, pool, own);
	ck_assert_int_eq(user_gets(&user), 0);
	user_ends_attempt(&user, ATTEMPT_FAILED);
	ck_assert_int_eq(home_of(pool, own), 1);
	probe(&fixture, pool, 0, false);
	probe(&fixture, pool, 0, true); /* its trial is due */
	ck_assert_int_eq(home_of(pool, foreign), 1);
	ck_assert_int_eq(home_of(pool, own), 0);
	pool_set_free(fixture.set);
}
END_TEST

/* fail_open. */

START_TEST(test_fail_open_tries_all_that_are_ready)
{
	struct fixture fixture;
	struct pool *pool = begin(&fixture, 4, NULL);
	fixture.conf.fail_open = true;
	apply(&fixture);
	pool_order(pool, "relay2", ADMIN_MAINT, 1000);
	for (size_t i = 0; i < 4; i++)
		probe(&fixture, pool, i, false);
	const char *order = order_of_fresh(pool);
	ck_assert_uint_eq(strlen(order), 3);
	ck_assert_ptr_null(strchr(order, '2'));
	/* A greeting is no probe: they stay down, and one that comes up is the only one. */
	ck_assert_int_ge(pick(pool, ATTEMPT_GREETED), 0);
	ck_assert_uint_eq(strlen(order_of_fresh(pool)), 3);
	probe(&fixture, pool, 3, true);
	ck_assert_str_eq(order_of_fresh(pool), "3");
	pool_order(pool, "relay3", ADMIN_DRAIN, 1000);
	ck_assert_uint_eq(strlen(order_of_fresh(pool)), 2);
	fixture.conf.fail_open = false;
	apply(&fixture);
	ck_assert_str_eq(order_of_fresh(pool), "");
	pool_set_free(fixture.set);
}
END_TEST

/* Out by its greetings, one that greets is back for good. */
START_TEST(test_fail_open_and_greetings)
{
	struct fixture fixture;
	struct pool *pool = begin(&fixture, 2, NULL);
	fixture.conf.fail_open = true;
	fixture.conf.check.greeting_fall = 1;
	apply(&fixture);
	ck_assert_int_eq(pick(pool, ATTEMPT_FAILED), 0);
	ck_assert_int_eq(pick(pool, ATTEMPT_FAILED), 1);
	ck_assert_uint_eq(strlen(order_of_fresh(pool)), 2);
	int greeted = pick(pool, ATTEMPT_GREETED);
	for (int i = 0; i < 5; i++)
		ck_assert_int_eq(pick(pool, ATTEMPT_GREETED), greeted);
	pool_set_free(fixture.set);
}
END_TEST

START_TEST(test_fail_open_keeps_limits_and_backups)
{
	struct fixture fixture;
	struct pool *pool = begin(&fixture, 2, NULL);
	struct user holder;
	fixture.conf.fail_open = true;
	fixture.backends[0].max_sessions = 1;
	fixture.backends[1].backup = true;
	apply(&fixture);
	probe(&fixture, pool, 0, false);
	probe(&fixture, pool, 1, false);
	user_init(&holder, pool);
	ck_assert_int_eq(user_gets(&holder), 0);
	ck_assert_int_eq(pick(pool, ATTEMPT_GREETED), 1);
	user_leaves(&holder);
	pool_set_free(fixture.set);
}
END_TEST

/* Changes. */

/* What a session has tried stays tried when members change their places, and a new one is none of
 * it. */
START_TEST(test_tried_survives_a_change)
{
	struct fixture fixture;
	struct pool *pool = begin(&fixture, 3, NULL);
	struct user user;
	user_init(&user, pool);
	ck_assert_int_eq(user_gets(&user), 0);
	user_ends_attempt(&user, ATTEMPT_FAILED);
	/* relay2, relay0, and a relay1 elsewhere. */
	struct backend_conf old[3];
	memcpy(old, fixture.backends, sizeof(old));
	fixture.backends[0] = old[2];
	fixture.backends[1] = old[0];
	fixture.backends[2] = old[1];
	fixture.backends[2].address.bytes[3] = 99;
	apply(&fixture);
	const char *order = order_of(&user);
	ck_assert_uint_eq(strlen(order), 2);
	ck_assert_ptr_null(strchr(order, '0'));
	pool_set_free(fixture.set);
}
END_TEST

/* Marks are given away again, but late. */
START_TEST(test_many_changes)
{
	struct fixture fixture;
	struct pool *pool = begin(&fixture, 2, NULL);
	struct user user;
	user_init(&user, pool);
	ck_assert_int_eq(user_gets(&user), 0);
	user_ends_attempt(&user, ATTEMPT_FAILED);
	for (int i = 0; i < 2 * MARKS_MAX; i++) {
		fixture.backends[1].address.bytes[2] = (uint8_t)(i >> 8);
		fixture.backends[1].address.bytes[3] = (uint8_t)i;
		apply(&fixture);
		claim_begin_round(&user.claim);
		const char *order = order_of(&user);
		ck_assert_uint_eq(strlen(order), 2);
	}
	pool_set_free(fixture.set);
}
END_TEST

/* A backend that is taken out of the configuration and put back has its sessions still. */
START_TEST(test_sessions_of_one_who_comes_back_count)
{
	struct fixture fixture;
	struct pool *pool = begin(&fixture, 2, NULL);
	struct user holders[2], waiter;
	fixture.backends[0].max_sessions = 1;
	fixture.backends[1].max_sessions = 2;
	apply(&fixture);
	for (int i = 0; i < 2; i++) {
		user_init(&holders[i], pool);
		ck_assert_int_eq(user_gets(&holders[i]), i);
	}
	probe(&fixture, pool, 1, false);
	fixture.conf.backend_count = 1;
	apply(&fixture);
	fixture.conf.backend_count = 2;
	/* A plan that comes to nothing leaves it where it was. */
	pool_plan_drop(pool_plan_new(fixture.set, &fixture.snapshot));
	apply(&fixture);
	user_init(&waiter, pool);
	ck_assert_int_eq(user_gets(&waiter), 1);
	ck_assert_int_eq(pick(pool, ATTEMPT_GREETED), -1);
	user_leaves(&holders[1]);
	ck_assert_int_eq(pick(pool, ATTEMPT_GREETED), 1);
	/* Gone for good with its last session. */
	fixture.conf.backend_count = 1;
	apply(&fixture);
	user_leaves(&waiter);
	fixture.conf.backend_count = 2;
	apply(&fixture);
	ck_assert_int_eq(pick(pool, ATTEMPT_GREETED), 1);
	user_leaves(&holders[0]);
	pool_set_free(fixture.set);
}
END_TEST

/* Without greeting_fall nobody is out by greetings. */
START_TEST(test_greeting_fall_turned_off)
{
	struct fixture fixture;
	struct pool *pool = begin(&fixture, 1, NULL);
	struct user waiter;
	fixture.conf.check.greeting_fall = 1;
	apply(&fixture);
	ck_assert_int_eq(pick(pool, ATTEMPT_FAILED), 0);
	user_init(&waiter, pool);
	ck_assert_int_eq(user_pick(&waiter), PICK_NONE_UP);
	fixture.conf.check.greeting_fall = 0;
	apply(&fixture);
	ck_assert(pool_has_called(&waiter.claim));
	ck_assert_int_eq(user_gets(&waiter), 0);
	ck_assert(!waiter.pick.trial);
	user_leaves(&waiter);
	pool_set_free(fixture.set);
}
END_TEST

static void
add(TCase *cases)
{
	tcase_add_test(cases, test_a_full_backend_gets_no_more);
	tcase_add_test(cases, test_full_is_not_tried);
	tcase_add_test(cases, test_first_come_first_served);
	tcase_add_test(cases, test_every_release_calls_one);
	tcase_add_test(cases, test_who_can_not_use_it_is_passed_over);
	tcase_add_test(cases, test_called_to_one_and_taking_another);
	tcase_add_test(cases, test_limits_change);
	tcase_add_loop_test(
		cases, test_limits_hold_over_threads, BALANCE_ROUNDROBIN, BALANCE_SOURCE + 1);
	tcase_add_test(cases, test_backups_come_last);
	tcase_add_loop_test(cases, test_backups_share_among_themselves, BALANCE_ROUNDROBIN,
		BALANCE_LEASTCONN + 1);
	tcase_add_test(cases, test_backup_stands_in_for_drained_and_full);
	tcase_add_test(cases, test_backup_has_no_trial_while_others_are_well);
	tcase_add_test(cases, test_leastconn_levels_out);
	tcase_add_test(cases, test_leastconn_takes_turns_on_a_tie);
	tcase_add_test(cases, test_source_order_is_kept);
	tcase_add_test(cases, test_source_and_a_full_backend);
	tcase_add_test(cases, test_source_and_a_change_of_members);
	tcase_add_test(cases, test_source_and_trials);
	tcase_add_test(cases, test_fail_open_tries_all_that_are_ready);
	tcase_add_test(cases, test_fail_open_and_greetings);
	tcase_add_test(cases, test_fail_open_keeps_limits_and_backups);
	tcase_add_test(cases, test_tried_survives_a_change);
	tcase_add_test(cases, test_many_changes);
	tcase_add_test(cases, test_sessions_of_one_who_comes_back_count);
	tcase_add_test(cases, test_greeting_fall_turned_off);
}

UNIT_MAIN("pool_pick", add)

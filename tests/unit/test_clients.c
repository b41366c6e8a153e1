/*
 * The table of clients, by a clock that the tests set: who is one, who is over which limit, who is
 * forgotten when there is no room, a million sources, and many threads at once.
 */
#include "lb/clients.h"

#include "tests/unit/random.h"
#include "tests/unit/unit.h"

#include <malloc.h>
#include <pthread.h>
#include <stdio.h>

static struct addr
v4(uint32_t number)
{
	struct addr addr = {.family = ADDR_V4};
	for (unsigned i = 0; i < 4; i++)
		addr.bytes[i] = (uint8_t)(number >> (24 - 8 * i));
	return addr;
}

static struct addr
parsed(const char *text)
{
	struct addr addr;
	ck_assert_int_eq(addr_parse(&addr, text), 0);
	return addr;
}

static const struct limits_conf sessions_only = {
	.sessions_per_client = 2,
	.connects_per_client = {0, 1},
	.messages_per_client = {0, 1},
};

static const struct limits_conf rates_only = {
	.connects_per_client = {1, 60000},
	.messages_per_client = {1, 60000},
};

static const struct limits_conf all = {
	.sessions_per_client = 2,
	.connects_per_client = {3, 60000},
	.messages_per_client = {1, 60000},
};

START_TEST(sessions_of_a_client)
{
	struct clients *clients = clients_new(CLIENTS_SHARDS);
	struct addr source = v4(1);
	struct client *first, *second, *third;
	ck_assert_int_eq(clients_enter(clients, &source, &sessions_only, 1, &first), LIMIT_NONE);
	ck_assert_int_eq(clients_enter(clients, &source, &sessions_only, 1, &second), LIMIT_NONE);
	ck_assert_ptr_eq(first, second);
	ck_assert_int_eq(clients_enter(clients, &source, &sessions_only, 1, &third),
		LIMIT_SESSIONS_PER_CLIENT);
	clients_leave(clients, first);
	ck_assert_int_eq(clients_enter(clients, &source, &sessions_only, 1, &third), LIMIT_NONE);
	clients_leave(clients, second);
	clients_withdraw(clients, third, &sessions_only);
	for (unsigned i = 0; i < 2; i++)
		ck_assert_int_eq(
			clients_enter(clients, &source, &sessions_only, 1, &third), LIMIT_NONE);
	clients_free(clients);
}
END_TEST

/* A refusal for sessions costs no connect, and neither does what is withdrawn. */
START_TEST(connects_of_a_client)
{
	struct clients *clients = clients_new(CLIENTS_SHARDS);
	struct addr source = v4(1);
	struct client *client, *refused;
	for (unsigned i = 0; i < 2; i++)
		ck_assert_int_eq(clients_enter(clients, &source, &all, 1, &client), LIMIT_NONE);
	for (unsigned i = 0; i < 5; i++)
		ck_assert_int_eq(clients_enter(clients, &source, &all, 1, &refused),
			LIMIT_SESSIONS_PER_CLIENT);
	for (unsigned i = 0; i < 2; i++)
		clients_leave(clients, client);
	for (unsigned i = 0; i < 5; i++) {
		ck_assert_int_eq(clients_enter(clients, &source, &all, 1, &client), LIMIT_NONE);
		clients_withdraw(clients, client, &all);
	}
	ck_assert_int_eq(clients_enter(clients, &source, &all, 1, &client), LIMIT_NONE);
	clients_leave(clients, client);
	ck_assert_int_eq(
		clients_enter(clients, &source, &all, 1, &client), LIMIT_CONNECTS_PER_CLIENT);
	ck_assert_int_eq(clients_enter(clients, &source, &all, 20001, &client), LIMIT_NONE);
	ck_assert_int_eq(
		clients_enter(clients, &source, &all, 20001, &client), LIMIT_CONNECTS_PER_CLIENT);
	clients_free(clients);
}
END_TEST

/* With a session or without. */
START_TEST(messages_of_a_client)
{
	struct clients *clients = clients_new(CLIENTS_SHARDS);
	struct addr source = v4(1), other = v4(2);
	struct client *client;
	ck_assert(clients_take_message(clients, &source, &all, 1));
	ck_assert(!clients_take_message(clients, &source, &all, 1));
	ck_assert(clients_take_message(clients, &source, &sessions_only, 1));
	ck_assert_int_eq(clients_enter(clients, &source, &all, 1, &client), LIMIT_NONE);
	ck_assert(!clients_take_message(clients, &source, &all, 60000));
	ck_assert(clients_take_message(clients, &source, &all, 60001));
	ck_assert(clients_take_message(clients, &other, &all, 1));
	clients_leave(clients, client);
	ck_assert(!clients_take_message(clients, &source, &all, 60002));
	clients_free(clients);
}
END_TEST

static const struct {
	const char *one, *other;
	bool same;
} pairs[] = {
	{"192.0.2.1", "192.0.2.1", true},
	{"192.0.2.1", "192.0.2.2", false},
	{"192.0.2.1", "::ffff:192.0.2.1", true},
	{"2001:db8:1:2::1", "2001:db8:1:2:ffff:ffff:ffff:ffff", true},
	{"2001:db8:1:2::1", "2001:db8:1:3::1", false},
	{"32.1.13.184", "2001:db8::", false},
};

START_TEST(who_is_one_client)
{
	struct clients *clients = clients_new(CLIENTS_MAX);
	struct addr one = parsed(pairs[_i].one), other = parsed(pairs[_i].other);
	struct client *client;
	enum limit expected = pairs[_i].same ? LIMIT_CONNECTS_PER_CLIENT : LIMIT_NONE;
	ck_assert_int_eq(clients_enter(clients, &one, &rates_only, 1, &client), LIMIT_NONE);
	ck_assert_int_eq(clients_enter(clients, &other, &rates_only, 1, &client), expected);
	ck_assert_int_eq(clients_take_message(clients, &one, &rates_only, 1), true);
	ck_assert_int_eq(clients_take_message(clients, &other, &rates_only, 1), !pairs[_i].same);
	clients_free(clients);
}
END_TEST

/* Eviction. A table with a place a shard: who comes into a shard pushes out who was there. */

/* So many sources, each seen once. */
static void
pass(struct clients *clients, uint32_t first, uint32_t count)
{
	for (uint32_t i = first; i < first + count; i++) {
		struct addr source = v4(i);
		clients_take_message(clients, &source, &rates_only, 1);
	}
}

START_TEST(who_has_a_session_is_never_forgotten)
{
	struct clients *clients = clients_new(CLIENTS_SHARDS);
	struct addr source = v4(1);
	struct client *client, *other;
	ck_assert_int_eq(clients_enter(clients, &source, &all, 1, &client), LIMIT_NONE);
	ck_assert(clients_take_message(clients, &source, &all, 1));
	pass(clients, 2, 10000);
	ck_assert(!clients_take_message(clients, &source, &all, 1));
	ck_assert_int_eq(clients_enter(clients, &source, &all, 1, &other), LIMIT_NONE);
	ck_assert_ptr_eq(client, other);
	clients_leave(clients, client);
	pass(clients, 2, 10000);
	ck_assert(!clients_take_message(clients, &source, &all, 1));
	clients_leave(clients, client);
	pass(clients, 2, 10000);
	ck_assert(clients_take_message(clients, &source, &all, 1));
	clients_free(clients);
}
END_TEST

/* With every place in use whoever comes gets in, and takes nothing from those who are there. */
START_TEST(without_a_place_all_are_let_in)
{
	enum {
		SOURCES = 1000, /* of which the first in each shard has its place */
	};
	struct clients *clients = clients_new(CLIENTS_SHARDS);
	struct client *held[CLIENTS_SHARDS], *client;
	struct addr counted[CLIENTS_SHARDS];
	unsigned count = 0;
	for (uint32_t i = 0; i < SOURCES; i++) {
		struct addr source = v4(i);
		ck_assert_int_eq(
			clients_enter(clients, &source, &rates_only, 1, &client), LIMIT_NONE);
		bool is_counted = client != NULL;
		if (is_counted) {
			ck_assert_uint_lt(count, CLIENTS_SHARDS);
			counted[count] = source;
			held[count++] = client;
		}
		for (unsigned j = 0; j < 3; j++) {
			ck_assert_int_eq(clients_enter(clients, &source, &rates_only, 1, &client),
				is_counted ? LIMIT_CONNECTS_PER_CLIENT : LIMIT_NONE);
			ck_assert_ptr_null(client);
			ck_assert_int_eq(clients_take_message(clients, &source, &rates_only, 1),
				!is_counted || j == 0);
		}
	}
	ck_assert_uint_eq(count, CLIENTS_SHARDS);
	for (unsigned i = 0; i < count; i++) {
		ck_assert_int_eq(clients_enter(clients, &counted[i], &rates_only, 1, &client),
			LIMIT_CONNECTS_PER_CLIENT);
		clients_leave(clients, held[i]);
	}
	/* Room again. */
	struct addr late = v4(SOURCES);
	ck_assert_int_eq(clients_enter(clients, &late, &rates_only, 1, &client), LIMIT_NONE);
	ck_assert_ptr_nonnull(client);
	clients_free(clients);
}
END_TEST

/* Who is seen all the time outlives whoever passes. */
START_TEST(who_was_not_seen_for_longest_is_forgotten)
{
	enum {
		CAPACITY = 64 * CLIENTS_SHARDS,
	};
	struct clients *clients = clients_new(CAPACITY);
	struct addr regular = v4(1), rare = v4(2);
	struct client *client;
	ck_assert(clients_take_message(clients, &rare, &rates_only, 1));
	ck_assert_int_eq(clients_enter(clients, &regular, &rates_only, 1, &client), LIMIT_NONE);
	clients_leave(clients, client);
	for (uint32_t i = 1; i < 1000; i++) {
		pass(clients, i * 1000, 16);
		/* A refusal is a sign of life too. */
		ck_assert_int_eq(clients_enter(clients, &regular, &rates_only, 1, &client),
			LIMIT_CONNECTS_PER_CLIENT);
	}
	ck_assert(clients_take_message(clients, &rare, &rates_only, 1));
	clients_free(clients);
}
END_TEST

/* As many as there is room for, but for what chance puts into one shard, are all remembered. */
START_TEST(nobody_is_forgotten_while_there_is_room)
{
	enum {
		SOURCES = CLIENTS_MAX / 10 * 9,
	};
	struct clients *clients = clients_new(CLIENTS_MAX);
	for (unsigned round = 0; round < 2; round++) {
		for (uint32_t i = 0; i < SOURCES; i++) {
			struct addr source = v4(i * 256);
			ck_assert_int_eq(
				clients_take_message(clients, &source, &rates_only, 1), round == 0);
		}
	}
	clients_free(clients);
}
END_TEST

static uint64_t
bytes_in_use(void)
{
	struct mallinfo2 info = mallinfo2();
	return info.uordblks + info.hblkhd;
}

/* A walk over the whole of IPv4 in steps that meet each address once. Those with sessions are
 * counted to the last, and no memory is needed. */
START_TEST(a_million_sources)
{
	enum {
		SOURCES = 1000000,
		HELD = 1000,
		SEVEN_MB = 7 << 20,
	};
	static struct client *held[HELD];
	struct client *client;
	uint64_t before = bytes_in_use();
	struct clients *clients = clients_new(CLIENTS_MAX);
	uint64_t bytes = bytes_in_use();
	ck_assert_uint_le(bytes - before, SEVEN_MB);
	for (uint32_t i = 0; i < SOURCES; i++) {
		struct addr source = v4(i * 2654435761u);
		ck_assert_int_eq(clients_enter(clients, &source, &all, 1, &client), LIMIT_NONE);
		ck_assert_ptr_nonnull(client);
		if (i < HELD)
			held[i] = client;
		else
			clients_leave(clients, client);
	}
	ck_assert_uint_eq(bytes_in_use(), bytes);
	for (uint32_t i = 0; i < HELD; i++) {
		struct addr source = v4(i * 2654435761u);
		ck_assert_int_eq(clients_enter(clients, &source, &all, 1, &client), LIMIT_NONE);
		ck_assert_ptr_eq(client, held[i]);
		ck_assert_int_eq(clients_enter(clients, &source, &all, 1, &client),
			LIMIT_SESSIONS_PER_CLIENT);
	}
	clients_free(clients);
}
END_TEST

/* Threads: each comes and goes for the same few clients, and for many others that push out who is
 * idle. No client ever has more sessions than it may, and in the end none. */

enum {
	THREADS = 4,
	TURNS = 50000,
	SHARED = 8,
};

struct turns {
	struct clients *clients;
	unsigned *running; /* of the shared clients; atomic */
	uint64_t seed;
};

static void *
take_turns(void *argument)
{
	struct turns *turns = argument;
	for (unsigned i = 0; i < TURNS; i++) {
		unsigned number = random_below(&turns->seed, i % 2 ? SHARED : 100000);
		struct addr source = v4(number);
		struct client *client;
		enum limit limit =
			clients_enter(turns->clients, &source, &sessions_only, i + 1, &client);
		if (limit != LIMIT_NONE || !client)
			continue;
		if (number < SHARED) {
			unsigned running =
				__atomic_add_fetch(&turns->running[number], 1, __ATOMIC_RELAXED);
			ck_assert_uint_le(running, sessions_only.sessions_per_client);
			__atomic_sub_fetch(&turns->running[number], 1, __ATOMIC_RELAXED);
		}
		clients_leave(turns->clients, client);
	}
	return NULL;
}

START_TEST(many_threads)
{
	struct clients *clients = clients_new(64 * CLIENTS_SHARDS);
	unsigned running[SHARED] = {0};
	pthread_t threads[THREADS];
	struct turns turns[THREADS];
	for (unsigned i = 0; i < THREADS; i++) {
		turns[i] = (struct turns){clients, running, i + 1};
		ck_assert_int_eq(pthread_create(&threads[i], NULL, take_turns, &turns[i]), 0);
	}
	for (unsigned i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	for (uint32_t number = 0; number < SHARED; number++) {
		struct addr source = v4(number);
		struct client *client;
		for (unsigned i = 0; i < sessions_only.sessions_per_client; i++)
			ck_assert_int_eq(
				clients_enter(clients, &source, &sessions_only, 1, &client),
				LIMIT_NONE);
		ck_assert_int_eq(clients_enter(clients, &source, &sessions_only, 1, &client),
			LIMIT_SESSIONS_PER_CLIENT);
	}
	clients_free(clients);
}
END_TEST

static void
fill(TCase *cases)
{
	tcase_add_test(cases, sessions_of_a_client);
	tcase_add_test(cases, connects_of_a_client);
	tcase_add_test(cases, messages_of_a_client);
	tcase_add_loop_test(cases, who_is_one_client, 0, sizeof(pairs) / sizeof(pairs[0]));
	tcase_add_test(cases, who_has_a_session_is_never_forgotten);
	tcase_add_test(cases, without_a_place_all_are_let_in);
	tcase_add_test(cases, who_was_not_seen_for_longest_is_forgotten);
	tcase_add_test(cases, nobody_is_forgotten_while_there_is_room);
	tcase_add_test(cases, a_million_sources);
	tcase_add_test(cases, many_threads);
}

UNIT_MAIN("clients", fill)

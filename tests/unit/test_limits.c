/*
 * A listener's limits: which comes first, what a refusal gives back, what a change of the numbers
 * changes, and threads that come and go.
 */
#include "lb/limits.h"

#include "tests/unit/unit.h"

#include <pthread.h>
#include <stdlib.h>

static struct addr
v4(uint32_t number)
{
	struct addr addr = {.family = ADDR_V4};
	for (unsigned i = 0; i < 4; i++)
		addr.bytes[i] = (uint8_t)(number >> (24 - 8 * i));
	return addr;
}

static const struct limits_conf off = {
	.connects_per_client = {0, 1},
	.messages_per_client = {0, 1},
};

static struct limits *
limits_of(struct limits_conf conf)
{
	struct limits *limits = limits_new();
	ck_assert_ptr_nonnull(limits);
	ck_assert_int_eq(limits_prepare(limits, &conf), 0);
	limits_configure(limits, &conf);
	return limits;
}

static void
change(struct limits *limits, struct limits_conf conf)
{
	ck_assert_int_eq(limits_prepare(limits, &conf), 0);
	limits_configure(limits, &conf);
}

/* Sessions of one client that are let in, one by one, until the first that is not, or the most. */
static unsigned
come(struct limits *limits, uint32_t client, struct client **clients, unsigned most,
	enum limit *limit)
{
	struct addr source = v4(client);
	for (unsigned i = 0; i < most; i++) {
		*limit = limits_admit(limits, &source, 1, &clients[i]);
		if (*limit != LIMIT_NONE) {
			ck_assert_ptr_null(clients[i]);
			return i;
		}
	}
	return most;
}

static void
go(struct limits *limits, struct client **clients, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		limits_leave(limits, clients[i]);
}

enum {
	MOST = 8,
};

static const struct {
	struct limits_conf conf;
	unsigned first, second; /* so many of each of two clients */
	enum limit first_limit, second_limit;
} rows[] = {
	{{0, 0, {0, 1}, {0, 1}}, MOST, MOST, LIMIT_NONE, LIMIT_NONE},
	{{5, 0, {0, 1}, {0, 1}}, 5, 0, LIMIT_SESSIONS, LIMIT_SESSIONS},
	{{0, 3, {0, 1}, {0, 1}}, 3, 3, LIMIT_SESSIONS_PER_CLIENT, LIMIT_SESSIONS_PER_CLIENT},
	{{5, 3, {0, 1}, {0, 1}}, 3, 2, LIMIT_SESSIONS_PER_CLIENT, LIMIT_SESSIONS},
	{{0, 3, {2, 60000}, {0, 1}}, 2, 2, LIMIT_CONNECTS_PER_CLIENT, LIMIT_CONNECTS_PER_CLIENT},
	{{3, 3, {3, 60000}, {0, 1}}, 3, 0, LIMIT_SESSIONS_PER_CLIENT, LIMIT_SESSIONS},
	{{0, 0, {0, 1}, {1, 60000}}, MOST, MOST, LIMIT_NONE, LIMIT_NONE},
};

START_TEST(who_is_let_in)
{
	struct limits *limits = limits_of(rows[_i].conf);
	struct client *first[MOST], *second[MOST];
	enum limit limit;
	for (unsigned round = 0; round < 2; round++) {
		ck_assert_uint_eq(come(limits, 1, first, MOST, &limit), rows[_i].first);
		ck_assert_int_eq(limit, rows[_i].first_limit);
		ck_assert_uint_eq(come(limits, 2, second, MOST, &limit), rows[_i].second);
		ck_assert_int_eq(limit, rows[_i].second_limit);
		go(limits, first, rows[_i].first);
		go(limits, second, rows[_i].second);
		if (rows[_i].conf.connects_per_client.count)
			break;
	}
	limits_unref(limits);
}
END_TEST

/* Of the listener's limit and of whoever withdraws. */
START_TEST(what_is_not_the_clients_fault_costs_no_connect)
{
	struct limits *limits = limits_of((struct limits_conf){1, 0, {2, 60000}, {0, 1}});
	struct client *clients[2];
	struct addr source = v4(1);
	enum limit limit;
	ck_assert_uint_eq(come(limits, 2, clients, 2, &limit), 1);
	for (unsigned i = 0; i < 5; i++)
		ck_assert_int_eq(limits_admit(limits, &source, 1, &clients[1]), LIMIT_SESSIONS);
	limits_leave(limits, clients[0]);
	for (unsigned i = 0; i < 5; i++) {
		ck_assert_int_eq(limits_admit(limits, &source, 1, &clients[0]), LIMIT_NONE);
		limits_withdraw(limits, clients[0]);
	}
	for (unsigned i = 0; i < 2; i++) {
		ck_assert_int_eq(limits_admit(limits, &source, 1, &clients[0]), LIMIT_NONE);
		limits_leave(limits, clients[0]);
	}
	ck_assert_int_eq(limits_admit(limits, &source, 1, &clients[0]), LIMIT_CONNECTS_PER_CLIENT);
	limits_unref(limits);
}
END_TEST

START_TEST(withdrawn_without_limits)
{
	struct limits *limits = limits_of(off);
	struct client *client;
	struct addr source = v4(1);
	ck_assert_int_eq(limits_admit(limits, &source, 1, &client), LIMIT_NONE);
	ck_assert_ptr_null(client);
	limits_withdraw(limits, client);
	limits_unref(limits);
}
END_TEST

/* What was prepared and not configured changes nothing. */
START_TEST(numbers_change_at_once)
{
	struct limits *limits = limits_of(off);
	struct limits_conf conf = {.sessions_per_client = 3,
		.connects_per_client = {0, 1},
		.messages_per_client = {0, 1}};
	struct client *before[2], *clients[MOST];
	enum limit limit;
	ck_assert_uint_eq(come(limits, 1, before, 2, &limit), 2);
	ck_assert_int_eq(limits_prepare(limits, &conf), 0);
	ck_assert_uint_eq(come(limits, 1, clients, 4, &limit), 4);
	limits_configure(limits, &conf);
	ck_assert_uint_eq(come(limits, 1, &clients[4], 1, &limit), 0);
	go(limits, clients, 2);
	ck_assert_uint_eq(come(limits, 1, clients, 2, &limit), 1);
	conf.sessions_per_client = 4;
	conf.sessions = 6;
	change(limits, conf);
	ck_assert_uint_eq(come(limits, 1, &clients[1], 2, &limit), 1);
	ck_assert_int_eq(limit, LIMIT_SESSIONS_PER_CLIENT);
	ck_assert_uint_eq(come(limits, 2, &clients[4], 2, &limit), 0);
	ck_assert_int_eq(limit, LIMIT_SESSIONS);
	change(limits, off);
	ck_assert_uint_eq(come(limits, 2, &clients[4], 4, &limit), 4);
	go(limits, before, 2);
	go(limits, clients, MOST);
	limits_unref(limits);
}
END_TEST

START_TEST(messages)
{
	struct limits *limits = limits_of(off);
	struct addr source = v4(1), other = v4(2);
	for (unsigned i = 0; i < 5; i++)
		ck_assert_int_eq(limits_take_message(limits, &source, 1), LIMIT_NONE);
	change(limits, (struct limits_conf){.messages_per_client = {2, 1000}});
	for (unsigned i = 0; i < 2; i++)
		ck_assert_int_eq(limits_take_message(limits, &source, 1), LIMIT_NONE);
	ck_assert_int_eq(limits_take_message(limits, &source, 1), LIMIT_MESSAGES_PER_CLIENT);
	ck_assert_int_eq(limits_take_message(limits, &other, 1), LIMIT_NONE);
	ck_assert_int_eq(limits_take_message(limits, &source, 501), LIMIT_NONE);
	change(limits, (struct limits_conf){.messages_per_client = {3, 1000}});
	ck_assert_int_eq(limits_take_message(limits, &source, 501), LIMIT_NONE);
	ck_assert_int_eq(limits_take_message(limits, &source, 501), LIMIT_MESSAGES_PER_CLIENT);
	limits_unref(limits);
}
END_TEST

static const struct {
	enum limit limit;
	const char *name, *rate;
	enum reply reply;
} names[] = {
	{LIMIT_SESSIONS, "sessions", NULL, REPLY_FULL},
	{LIMIT_SESSIONS_PER_CLIENT, "sessions_per_client", NULL, REPLY_CONNECTIONS},
	{LIMIT_CONNECTS_PER_CLIENT, "connects_per_client", "20/1m", REPLY_CONNECTIONS},
	{LIMIT_MESSAGES_PER_CLIENT, "messages_per_client", "1000000/30d", REPLY_MESSAGES},
	{LIMIT_MAX_SESSIONS, "max_sessions", NULL, REPLY_FULL},
	{LIMIT_RESOURCES, "resources", NULL, REPLY_FULL},
};

START_TEST(what_is_told)
{
	struct limits *limits = limits_of(
		(struct limits_conf){1, 2, {20, 60000}, {RATE_COUNT_MAX, RATE_PERIOD_MAX_MS}});
	struct rate_conf rate = limits_rate(limits, names[_i].limit);
	char text[RATE_TEXT_MAX];
	ck_assert_str_eq(limit_name(names[_i].limit), names[_i].name);
	ck_assert_int_eq(limit_reply(names[_i].limit), names[_i].reply);
	if (names[_i].rate)
		ck_assert_str_eq(limits_rate_format(&rate, text), names[_i].rate);
	else
		ck_assert_uint_eq(rate.count, 0);
	limits_unref(limits);
}
END_TEST

/* Threads come and go while the numbers change; in the end nobody is there. */

enum {
	THREADS = 4,
	TURNS = 20000,
};

static void *
take_turns(void *argument)
{
	struct limits *limits = argument;
	for (uint32_t i = 0; i < TURNS; i++) {
		struct addr source = v4(i % 16);
		struct client *client;
		if (limits_admit(limits, &source, i + 1, &client) != LIMIT_NONE)
			continue;
		limits_take_message(limits, &source, i + 1);
		if (i % 3)
			limits_leave(limits, client);
		else
			limits_withdraw(limits, client);
	}
	limits_unref(limits);
	return NULL;
}

START_TEST(many_threads)
{
	static const struct limits_conf confs[] = {
		{2, 0, {0, 1}, {0, 1}},
		{0, 1, {5, 100}, {5, 100}},
		{1, 1, {100, 1}, {5, 77}},
	};
	struct limits *limits = limits_of(off);
	pthread_t threads[THREADS];
	for (unsigned i = 0; i < THREADS; i++)
		ck_assert_int_eq(
			pthread_create(&threads[i], NULL, take_turns, limits_ref(limits)), 0);
	for (unsigned i = 0; i < 300; i++)
		change(limits, confs[i % 3]);
	for (unsigned i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	change(limits, (struct limits_conf){3, 2, {0, 1}, {0, 1}});
	struct client *clients[MOST];
	enum limit limit;
	ck_assert_uint_eq(come(limits, 1, clients, MOST, &limit), 2);
	ck_assert_uint_eq(come(limits, 2, clients, MOST, &limit), 1);
	ck_assert_int_eq(limit, LIMIT_SESSIONS);
	limits_unref(limits);
}
END_TEST

START_TEST(nothing_to_give_up)
{
	limits_unref(NULL);
}
END_TEST

static void
fill(TCase *cases)
{
	tcase_add_loop_test(cases, who_is_let_in, 0, sizeof(rows) / sizeof(rows[0]));
	tcase_add_test(cases, what_is_not_the_clients_fault_costs_no_connect);
	tcase_add_test(cases, withdrawn_without_limits);
	tcase_add_test(cases, numbers_change_at_once);
	tcase_add_test(cases, messages);
	tcase_add_loop_test(cases, what_is_told, 0, sizeof(names) / sizeof(names[0]));
	tcase_add_test(cases, many_threads);
	tcase_add_test(cases, nothing_to_give_up);
}

UNIT_MAIN("limits", fill)

/*
 * Limits in force; see limits.h. What a listener without limits per client costs a session is one
 * atomic counter.
 */
#include "lb/limits.h"

#include "conf/unit.h"
#include "lb/clients.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

struct limits {
	unsigned refs;           /* atomic */
	unsigned sessions;       /* atomic */
	unsigned max_sessions;   /* atomic; 0 = no limit */
	struct clients *clients; /* atomic; NULL as long as no limit per client was asked for */
	pthread_mutex_t mutex;
	struct limits_conf conf; /* under the mutex */
};

struct limits *
limits_new(void)
{
	struct limits *limits = calloc(1, sizeof(*limits));
	if (!limits)
		return NULL;
	limits->refs = 1;
	pthread_mutex_init(&limits->mutex, NULL);
	return limits;
}

struct limits *
limits_ref(struct limits *limits)
{
	__atomic_add_fetch(&limits->refs, 1, __ATOMIC_RELAXED);
	return limits;
}

void
limits_unref(struct limits *limits)
{
	if (!limits || __atomic_sub_fetch(&limits->refs, 1, __ATOMIC_ACQ_REL) > 0)
		return;
	if (limits->clients)
		clients_free(limits->clients);
	pthread_mutex_destroy(&limits->mutex);
	free(limits);
}

static struct clients *
clients_of(const struct limits *limits)
{
	return __atomic_load_n(&limits->clients, __ATOMIC_ACQUIRE);
}

int
limits_prepare(struct limits *limits, const struct limits_conf *conf)
{
	if (clients_of(limits) || (!conf->sessions_per_client && !conf->connects_per_client.count &&
					  !conf->messages_per_client.count))
		return 0;
	struct clients *clients = clients_new(CLIENTS_MAX);
	if (!clients)
		return -1;
	__atomic_store_n(&limits->clients, clients, __ATOMIC_RELEASE);
	return 0;
}

void
limits_configure(struct limits *limits, const struct limits_conf *conf)
{
	__atomic_store_n(&limits->max_sessions, conf->sessions, __ATOMIC_RELAXED);
	pthread_mutex_lock(&limits->mutex);
	limits->conf = *conf;
	pthread_mutex_unlock(&limits->mutex);
}

static struct limits_conf
in_force(struct limits *limits)
{
	pthread_mutex_lock(&limits->mutex);
	struct limits_conf conf = limits->conf;
	pthread_mutex_unlock(&limits->mutex);
	return conf;
}

/* The client comes first: one that is over its own limits takes room from nobody. */
enum limit
limits_admit(
	struct limits *limits, const struct addr *source, uint64_t now_ms, struct client **client)
{
	struct clients *clients = clients_of(limits);
	*client = NULL;
	if (clients) {
		struct limits_conf conf = in_force(limits);
		enum limit limit = clients_enter(clients, source, &conf, now_ms, client);
		if (limit != LIMIT_NONE)
			return limit;
	}
	unsigned sessions = __atomic_add_fetch(&limits->sessions, 1, __ATOMIC_RELAXED);
	unsigned max = __atomic_load_n(&limits->max_sessions, __ATOMIC_RELAXED);
	if (max == 0 || sessions <= max)
		return LIMIT_NONE;
	limits_withdraw(limits, *client);
	*client = NULL;
	return LIMIT_SESSIONS;
}

void
limits_leave(struct limits *limits, struct client *client)
{
	if (client)
		clients_leave(clients_of(limits), client);
	__atomic_sub_fetch(&limits->sessions, 1, __ATOMIC_RELAXED);
}

void
limits_withdraw(struct limits *limits, struct client *client)
{
	struct limits_conf conf = in_force(limits);
	if (client)
		clients_withdraw(clients_of(limits), client, &conf);
	__atomic_sub_fetch(&limits->sessions, 1, __ATOMIC_RELAXED);
}

enum limit
limits_take_message(struct limits *limits, const struct addr *source, uint64_t now_ms)
{
	struct clients *clients = clients_of(limits);
	if (!clients)
		return LIMIT_NONE;
	struct limits_conf conf = in_force(limits);
	bool is_taken = clients_take_message(clients, source, &conf, now_ms);
	return is_taken ? LIMIT_NONE : LIMIT_MESSAGES_PER_CLIENT;
}

struct rate_conf
limits_rate(struct limits *limits, enum limit limit)
{
	struct limits_conf conf = in_force(limits);
	if (limit == LIMIT_CONNECTS_PER_CLIENT)
		return conf.connects_per_client;
	if (limit == LIMIT_MESSAGES_PER_CLIENT)
		return conf.messages_per_client;
	return (struct rate_conf){.count = 0};
}

const char *
limits_rate_format(const struct rate_conf *rate, char buf[RATE_TEXT_MAX])
{
	char period[DURATION_TEXT_MAX];
	snprintf(buf, RATE_TEXT_MAX, "%u/%s", rate->count,
		unit_format_duration(rate->period_ms, period));
	return buf;
}

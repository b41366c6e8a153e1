/*
 * The table of clients: a hash table a shard, and a list of its clients without a session, in the
 * order in which they were seen.
 *
 * The places of a shard are taken in their order, so that memory is used as clients come.
 */
#include "lb/clients.h"

#include "lb/balance_source.h"
#include "lb/bucket.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/queue.h>
#include <sys/random.h>

enum {
	SHARD_BITS = 4,
};

_Static_assert(1 << SHARD_BITS == CLIENTS_SHARDS, "a shard for each value of the bits");

struct client {
	struct addr network;
	unsigned sessions;
	struct bucket connects;
	struct bucket messages;
	struct client *next_in_chain;
	TAILQ_ENTRY(client) beside; /* among the idle ones */
};

TAILQ_HEAD(idle_clients, client);

struct shard {
	pthread_mutex_t mutex;
	struct client *places;
	size_t used; /* of the places, once taken */
	struct idle_clients idle;
	struct client **chains;
};

struct clients {
	struct shard shards[CLIENTS_SHARDS];
	size_t capacity;     /* of a shard */
	unsigned chain_bits; /* a shard has 2^chain_bits of them, at least as many as places */
	uint64_t factor;     /* random and odd, so that nobody can aim at one chain */
};

struct clients *
clients_new(size_t capacity)
{
	assert(capacity >= CLIENTS_SHARDS);
	struct clients *clients = calloc(1, sizeof(*clients));
	if (!clients)
		return NULL;
	bool is_made = getrandom(&clients->factor, sizeof(clients->factor), 0) > 0;
	clients->factor |= 1;
	clients->capacity = capacity / CLIENTS_SHARDS;
	while ((size_t)1 << clients->chain_bits < clients->capacity)
		clients->chain_bits++;
	for (unsigned i = 0; i < CLIENTS_SHARDS; i++) {
		struct shard *shard = &clients->shards[i];
		pthread_mutex_init(&shard->mutex, NULL);
		TAILQ_INIT(&shard->idle);
		shard->places = calloc(clients->capacity, sizeof(*shard->places));
		shard->chains = calloc((size_t)1 << clients->chain_bits, sizeof(struct client *));
		is_made = is_made && shard->places && shard->chains;
	}
	if (is_made)
		return clients;
	clients_free(clients);
	return NULL;
}

void
clients_free(struct clients *clients)
{
	for (unsigned i = 0; i < CLIENTS_SHARDS; i++) {
		pthread_mutex_destroy(&clients->shards[i].mutex);
		free(clients->shards[i].places);
		free(clients->shards[i].chains);
	}
	free(clients);
}

/* The hash table. The hash is multiply-shift (Dietzfelbinger and others: A reliable randomized
 * algorithm for the closest-pair problem, 1997): two clients meet in a chain by chance alone. Its
 * highest bits say which shard, those behind which chain. */

static uint64_t
hash_of(const struct clients *clients, const struct addr *network)
{
	return source_client(network) * clients->factor;
}

static struct shard *
lock_shard(struct clients *clients, uint64_t hash)
{
	struct shard *shard = &clients->shards[hash >> (64 - SHARD_BITS)];
	pthread_mutex_lock(&shard->mutex);
	return shard;
}

static struct client **
chain_of(const struct clients *clients, const struct shard *shard, uint64_t hash)
{
	size_t mask = ((size_t)1 << clients->chain_bits) - 1;
	return &shard->chains[hash >> (64 - SHARD_BITS - clients->chain_bits) & mask];
}

static void
unchain(const struct clients *clients, const struct shard *shard, const struct client *client)
{
	struct client **link = chain_of(clients, shard, hash_of(clients, &client->network));
	while (*link != client)
		link = &(*link)->next_in_chain;
	*link = client->next_in_chain;
}

/* A place for a new client. NULL when each belongs to one with a session. */
static struct client *
take_place(const struct clients *clients, struct shard *shard)
{
	if (shard->used < clients->capacity)
		return &shard->places[shard->used++];
	struct client *client = TAILQ_FIRST(&shard->idle);
	if (client) {
		TAILQ_REMOVE(&shard->idle, client, beside);
		unchain(clients, shard, client);
	}
	return client;
}

/* The client, old or new, who is seen now: in no list, until it is put down. NULL: no place. */
static struct client *
pick_up(const struct clients *clients, struct shard *shard, uint64_t hash,
	const struct addr *network)
{
	struct client **chain = chain_of(clients, shard, hash);
	struct client *client = *chain;
	while (client && !addr_equal(&client->network, network))
		client = client->next_in_chain;
	if (client) {
		if (client->sessions == 0)
			TAILQ_REMOVE(&shard->idle, client, beside);
		return client;
	}
	client = take_place(clients, shard);
	if (!client)
		return NULL;
	*client = (struct client){.network = *network, .next_in_chain = *chain};
	*chain = client;
	return client;
}

static void
put_down(struct shard *shard, struct client *client)
{
	if (client->sessions == 0)
		TAILQ_INSERT_TAIL(&shard->idle, client, beside);
}

/* Asked by the listener. */

static enum limit
enter(struct client *client, const struct limits_conf *limits, uint64_t now_ms)
{
	unsigned max = limits->sessions_per_client;
	const struct rate_conf *connects = &limits->connects_per_client;
	if (max && client->sessions >= max)
		return LIMIT_SESSIONS_PER_CLIENT;
	if (connects->count && !bucket_take(&client->connects, connects, now_ms))
		return LIMIT_CONNECTS_PER_CLIENT;
	client->sessions++;
	return LIMIT_NONE;
}

enum limit
clients_enter(struct clients *clients, const struct addr *source, const struct limits_conf *limits,
	uint64_t now_ms, struct client **client)
{
	struct prefix network = addr_network(source);
	uint64_t hash = hash_of(clients, &network.addr);
	struct shard *shard = lock_shard(clients, hash);
	enum limit limit = LIMIT_NONE;
	*client = pick_up(clients, shard, hash, &network.addr);
	if (*client) {
		limit = enter(*client, limits, now_ms);
		put_down(shard, *client);
	}
	pthread_mutex_unlock(&shard->mutex);
	if (limit != LIMIT_NONE)
		*client = NULL;
	return limit;
}

static struct shard *
leave(struct clients *clients, struct client *client)
{
	struct shard *shard = lock_shard(clients, hash_of(clients, &client->network));
	assert(client->sessions > 0);
	client->sessions--;
	put_down(shard, client);
	return shard;
}

void
clients_leave(struct clients *clients, struct client *client)
{
	pthread_mutex_unlock(&leave(clients, client)->mutex);
}

void
clients_withdraw(struct clients *clients, struct client *client, const struct limits_conf *limits)
{
	struct shard *shard = leave(clients, client);
	if (limits->connects_per_client.count)
		bucket_put_back(&client->connects);
	pthread_mutex_unlock(&shard->mutex);
}

bool
clients_take_message(struct clients *clients, const struct addr *source,
	const struct limits_conf *limits, uint64_t now_ms)
{
	const struct rate_conf *messages = &limits->messages_per_client;
	if (messages->count == 0)
		return true;
	struct prefix network = addr_network(source);
	uint64_t hash = hash_of(clients, &network.addr);
	struct shard *shard = lock_shard(clients, hash);
	struct client *client = pick_up(clients, shard, hash, &network.addr);
	bool is_taken = true;
	if (client) {
		is_taken = bucket_take(&client->messages, messages, now_ms);
		put_down(shard, client);
	}
	pthread_mutex_unlock(&shard->mutex);
	return is_taken;
}

/*
 * Space-Saving over the paper's stream summary: the sources in groups of one count each, the groups
 * in the order of their counts, and a hash table that finds a source. Within a group the one that
 * has not come for longest is first, and the first to lose its place.
 *
 * At the beginning all places are in a group with the count 0, so that an empty place is taken like
 * any other.
 */
#include "lb/denied.h"

#include "lb/balance_source.h"

#include <assert.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/random.h>

struct group;

struct place {
	struct denied_source source; /* its count and at_least come from what follows */
	uint64_t over;               /* how much too high the count may be */
	uint64_t hash;
	struct group *group;
	TAILQ_ENTRY(place) beside;   /* in the group */
	struct place *next_in_chain; /* of the hash table */
};

TAILQ_HEAD(places, place);
TAILQ_HEAD(groups, group);

struct group {
	uint64_t count;
	struct places places;
	TAILQ_ENTRY(group) beside;
};

struct denied {
	pthread_mutex_t mutex;
	size_t capacity;
	struct place *places;
	struct group *group_array; /* as many: each group has a place at least */
	struct groups groups;      /* the least count first */
	struct groups spare;
	struct place **chains; /* 2^chain_bits, at least as many as places */
	unsigned chain_bits;
	uint64_t factor; /* random and odd, so that nobody can aim at one chain */
};

static struct group *
take_spare(struct denied *denied, uint64_t count)
{
	struct group *group = TAILQ_FIRST(&denied->spare);
	TAILQ_REMOVE(&denied->spare, group, beside);
	TAILQ_INIT(&group->places);
	group->count = count;
	return group;
}

static void
fill(struct denied *denied)
{
	TAILQ_INIT(&denied->groups);
	TAILQ_INIT(&denied->spare);
	for (size_t i = 0; i < denied->capacity; i++)
		TAILQ_INSERT_TAIL(&denied->spare, &denied->group_array[i], beside);
	struct group *group = take_spare(denied, 0);
	TAILQ_INSERT_TAIL(&denied->groups, group, beside);
	for (size_t i = 0; i < denied->capacity; i++) {
		denied->places[i].group = group;
		TAILQ_INSERT_TAIL(&group->places, &denied->places[i], beside);
	}
}

struct denied *
denied_new(size_t capacity)
{
	assert(capacity > 0);
	struct denied *denied = calloc(1, sizeof(*denied));
	if (!denied)
		return NULL;
	pthread_mutex_init(&denied->mutex, NULL);
	denied->capacity = capacity;
	denied->chain_bits = 1;
	while ((size_t)1 << denied->chain_bits < capacity)
		denied->chain_bits++;
	denied->places = calloc(capacity, sizeof(*denied->places));
	denied->group_array = calloc(capacity, sizeof(*denied->group_array));
	denied->chains = calloc((size_t)1 << denied->chain_bits, sizeof(struct place *));
	if (!denied->places || !denied->group_array || !denied->chains ||
		getrandom(&denied->factor, sizeof(denied->factor), 0) < 0) {
		denied_free(denied);
		return NULL;
	}
	denied->factor |= 1;
	fill(denied);
	return denied;
}

void
denied_free(struct denied *denied)
{
	pthread_mutex_destroy(&denied->mutex);
	free(denied->places);
	free(denied->group_array);
	free(denied->chains);
	free(denied);
}

/* The hash table. */

/* Multiply-shift (Dietzfelbinger and others: A reliable randomized algorithm for the closest-pair
 * problem, 1997): two hashes meet in a chain by chance alone. */
static struct place **
chain_of(struct denied *denied, uint64_t hash)
{
	return &denied->chains[hash * denied->factor >> (64 - denied->chain_bits)];
}

static struct place *
find(struct denied *denied, uint64_t hash, const char *listener, const struct addr *network)
{
	struct place *place = *chain_of(denied, hash);
	while (place && !(place->hash == hash && addr_equal(&place->source.network.addr, network) &&
				strcmp(place->source.listener, listener) == 0))
		place = place->next_in_chain;
	return place;
}

/* A place that was never taken is in no chain. */
static void
unchain(struct denied *denied, struct place *place)
{
	struct place **link = chain_of(denied, place->hash);
	while (*link && *link != place)
		link = &(*link)->next_in_chain;
	if (*link)
		*link = place->next_in_chain;
}

static void
chain(struct denied *denied, struct place *place)
{
	struct place **head = chain_of(denied, place->hash);
	place->next_in_chain = *head;
	*head = place;
}

/* The summary. */

static void
leave_group(struct denied *denied, struct place *place)
{
	struct group *group = place->group;
	TAILQ_REMOVE(&group->places, place, beside);
	if (!TAILQ_EMPTY(&group->places))
		return;
	TAILQ_REMOVE(&denied->groups, group, beside);
	TAILQ_INSERT_HEAD(&denied->spare, group, beside);
}

/* Moves it to the group of the next count. A group of its own only has its count changed: so there
 * is one to spare wherever another is needed. */
static void
count_one(struct denied *denied, struct place *place)
{
	struct group *group = place->group;
	struct group *next = TAILQ_NEXT(group, beside);
	uint64_t count = group->count + 1;
	bool is_alone = TAILQ_FIRST(&group->places) == place && !TAILQ_NEXT(place, beside);
	if (!next || next->count != count) {
		if (is_alone) {
			group->count = count;
			return;
		}
		next = take_spare(denied, count);
		TAILQ_INSERT_AFTER(&denied->groups, group, next, beside);
	}
	leave_group(denied, place);
	TAILQ_INSERT_TAIL(&next->places, place, beside);
	place->group = next;
}

/* The least frequent one's place, with its count. */
static struct place *
take_place(struct denied *denied, uint64_t hash, const char *listener, const struct prefix *network)
{
	struct group *least = TAILQ_FIRST(&denied->groups);
	struct place *place = TAILQ_FIRST(&least->places);
	unchain(denied, place);
	place->over = least->count;
	place->hash = hash;
	place->source.network = *network;
	snprintf(place->source.listener, sizeof(place->source.listener), "%s", listener);
	chain(denied, place);
	return place;
}

void
denied_add(struct denied *denied, const char *listener, const struct addr *source, uint64_t ms)
{
	struct prefix network = addr_network(source);
	uint64_t hash = source_client(source) + source_name(listener);
	pthread_mutex_lock(&denied->mutex);
	struct place *place = find(denied, hash, listener, &network.addr);
	if (!place)
		place = take_place(denied, hash, listener, &network);
	count_one(denied, place);
	place->source.address = *source;
	place->source.last_ms = ms;
	pthread_mutex_unlock(&denied->mutex);
}

/* Reading. */

static int
compare_sources(const void *a, const void *b)
{
	const struct denied_source *left = a, *right = b;
	const struct addr *of_left = &left->network.addr, *of_right = &right->network.addr;
	if (of_left->family != of_right->family)
		return of_left->family < of_right->family ? -1 : 1;
	int order = memcmp(of_left->bytes, of_right->bytes, sizeof(of_left->bytes));
	return order ? order : strcmp(left->listener, right->listener);
}

static int
compare_counts(const void *a, const void *b)
{
	const struct denied_source *left = a, *right = b;
	if (left->count != right->count)
		return left->count > right->count ? -1 : 1;
	if (left->last_ms != right->last_ms)
		return left->last_ms > right->last_ms ? -1 : 1;
	return compare_sources(a, b);
}

/* Copies what one summary holds, each with its count over the least, and returns how much is there.
 * What is not there may have come as often as the least: that is added to *least. */
static size_t
copy(struct denied *denied, struct denied_source *sources, uint64_t *least)
{
	size_t count = 0;
	pthread_mutex_lock(&denied->mutex);
	uint64_t floor = TAILQ_FIRST(&denied->groups)->count;
	for (size_t i = 0; i < denied->capacity; i++) {
		const struct place *place = &denied->places[i];
		if (place->group->count == 0)
			continue;
		sources[count] = place->source;
		sources[count].count = place->group->count - floor;
		sources[count].at_least = place->group->count - place->over;
		count++;
	}
	pthread_mutex_unlock(&denied->mutex);
	*least += floor;
	return count;
}

static void
join(struct denied_source *into, const struct denied_source *other)
{
	into->count += other->count;
	into->at_least += other->at_least;
	if (other->last_ms > into->last_ms) {
		into->last_ms = other->last_ms;
		into->address = other->address;
	}
}

/* Makes one of what several summaries tell of the same source; returns how many are left. */
static size_t
merge(struct denied_source *sources, size_t count)
{
	size_t merged = 0;
	qsort(sources, count, sizeof(*sources), compare_sources);
	for (size_t i = 0; i < count; i++) {
		if (merged && compare_sources(&sources[merged - 1], &sources[i]) == 0)
			join(&sources[merged - 1], &sources[i]);
		else
			sources[merged++] = sources[i];
	}
	return merged;
}

struct denied_source *
denied_read(struct denied *const *all, size_t all_count, size_t max, size_t *count)
{
	size_t room = 1;
	for (size_t i = 0; i < all_count; i++)
		room += all[i]->capacity;
	struct denied_source *sources = calloc(room, sizeof(*sources));
	if (!sources)
		return NULL;
	size_t found = 0;
	uint64_t least = 0;
	for (size_t i = 0; i < all_count; i++)
		found += copy(all[i], &sources[found], &least);
	found = merge(sources, found);
	for (size_t i = 0; i < found; i++)
		sources[i].count += least;
	qsort(sources, found, sizeof(*sources), compare_counts);
	*count = found < max ? found : max;
	return sources;
}

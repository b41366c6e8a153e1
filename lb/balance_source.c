/*
 * Rendezvous hashing: two stand-ins become a number between 0 and 1, and that a rank. No state.
 */
#include "lb/balance_source.h"

#include <math.h>
#include <string.h>

/* FNV-1a, 64 bits (Fowler, Noll, Vo). */
static uint64_t
fnv1a(const void *bytes, size_t len)
{
	uint64_t hash = UINT64_C(0xcbf29ce484222325);
	for (size_t i = 0; i < len; i++)
		hash = (hash ^ ((const uint8_t *)bytes)[i]) * UINT64_C(0x100000001b3);
	return hash;
}

/* Every bit of the result depends on every bit of x: the mixing function of splitmix64. */
static uint64_t
mix(uint64_t x)
{
	x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
	return x ^ (x >> 31);
}

uint64_t
source_client(const struct addr *client)
{
	uint8_t key[9] = {client->family == ADDR_V6 ? 6 : 4};
	memcpy(key + 1, client->bytes, client->family == ADDR_V6 ? 8 : 4);
	return mix(fnv1a(key, sizeof(key)));
}

uint64_t
source_name(const char *name)
{
	return mix(fnv1a(name, strlen(name)));
}

double
source_rank(uint64_t client, uint64_t name, unsigned weight)
{
	/* Of exponentially distributed numbers with these rates, each is the least with a chance
	 * in proportion to its rate. What a double holds exactly: never 0 and never 1. */
	double chance = ((double)(mix(client + name) >> 12) + 0.5) / 0x1p52;
	return -log(chance) / weight;
}

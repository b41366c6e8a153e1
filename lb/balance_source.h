/*
 * Choice by the client's address: each client has an order of its own among the backends, in which
 * a backend is first for a share of the clients that goes by its weight. The order of two backends
 * depends on nothing but the client, their names and their weights, so that a backend that goes
 * moves its own clients only, to the next in their order, and one that comes takes its share and no
 * more. It is the same in every process and on every machine.
 *
 * Weighted rendezvous hashing (Thaler and Ravishankar: Using name-based mappings to increase hit
 * rates, 1998; the weights as in Schindelhauer and Schomaker: Weighted distributed hash tables,
 * 2005). Pure functions.
 */
#ifndef LB_BALANCE_SOURCE_H
#define LB_BALANCE_SOURCE_H

#include "acl/addr.h"

#include <stdint.h>

/* Stands for a client: an IPv4 address, or an IPv6 /64, in which one host may change its address
 * as it likes. */
uint64_t source_client(const struct addr *client);

/* Stands for a backend. */
uint64_t source_name(const char *name);

/* The backend's place in the client's order: the least is first. */
double source_rank(uint64_t client, uint64_t name, unsigned weight);

#endif

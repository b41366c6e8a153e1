/*
 * The sources that are turned away most often: how often, when last, at which listener. A source is
 * an IPv4 address, or an IPv6 /64, at one listener.
 *
 * Each worker keeps a summary of its own, of a fixed size whatever comes: Space-Saving (Metwally,
 * Agrawal, El Abbadi: Efficient computation of frequent and top-k elements in data streams, 2005).
 * A source that has no room takes the place of the least frequent one, and its count: so a count
 * may be too high, but by no more than is known, and never too low, and a source with more than
 * 1/capacity of all denials is always there. Up to capacity sources every count is exact.
 *
 * Adding takes constant time and no memory. Any thread may add and read; a mutex, which nobody
 * contends for but while the main thread reads, is all that adding waits for.
 */
#ifndef LB_DENIED_H
#define LB_DENIED_H

#include "acl/addr.h"

#include <stddef.h>
#include <stdint.h>

enum {
	DENIED_SOURCES = 2048,    /* that a worker remembers; some 400 kB */
	DENIED_LISTENER_MAX = 63, /* bytes of a listener's name */
};

struct denied;

/* NULL: errno says why. capacity: at least 1. */
struct denied *denied_new(size_t capacity);
void denied_free(struct denied *denied);

/* This source was turned away, at this time in milliseconds (wall.h). */
void denied_add(
	struct denied *denied, const char *listener, const struct addr *source, uint64_t ms);

struct denied_source {
	char listener[DENIED_LISTENER_MAX + 1];
	struct prefix network;
	struct addr address; /* in the network: the last one */
	uint64_t count;      /* not less than it was, */
	uint64_t at_least;   /* and not more */
	uint64_t last_ms;
};

/* What several summaries tell together: at most max sources in an array for free(3), the most
 * frequent first, of those the last one first. NULL when there is no memory. */
struct denied_source *denied_read(
	struct denied *const *all, size_t all_count, size_t max, size_t *count);

#endif

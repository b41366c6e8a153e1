/*
 * A worker's live sessions, copied for the main thread: the worker fills the list in its own
 * thread, while it serves nobody, so only what is needed is copied.
 */
#ifndef LB_SESSION_LIST_H
#define LB_SESSION_LIST_H

#include "acl/addr.h"
#include "conf/snapshot.h"

#include <stddef.h>
#include <stdint.h>

struct session;

struct session_info {
	uint64_t id;
	char listener[NAME_LEN_MAX + 1];
	char pool[NAME_LEN_MAX + 1];
	char backend[NAME_LEN_MAX + 1]; /* "" = none yet */
	struct endpoint client;
	struct endpoint backend_addr;
	const char *phase; /* static */
	const char *place; /* static; NULL without a backend that has greeted */
	uint64_t messages; /* that had their reply */
	uint64_t age_ms;
	uint64_t bytes_in, bytes_out;
	unsigned attempts;
	uint16_t cipher; /* of the client's TLS, its number; 0 = none */
};

struct session_list {
	/* Called by who has filled it, in his thread. */
	void (*done)(void *context);
	void *context;
	struct session_info *items; /* for free(3) */
	size_t count;
	bool lost; /* no memory: it is empty */
};

/* Fills it with the worker's sessions, from the first (NULL for none), and tells that it is done.
 * In the worker's thread. */
void session_list_fill(struct session_list *list, const struct session *first);

#endif

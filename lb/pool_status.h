/*
 * A look at a pool and its backends, for the admin interface: a copy, so that nobody waits for the
 * pool while it is told of.
 */
#ifndef LB_POOL_STATUS_H
#define LB_POOL_STATUS_H

#include "lb/backend.h"
#include "lb/pool.h"

#include <stdbool.h>
#include <stddef.h>

struct backend_status {
	struct backend *backend;  /* referenced; to be read: what never changes, troubles, recent */
	struct endpoint endpoint; /* port 0: the one that the client called */
	enum admin_state admin;
	bool up; /* by both that follow */
	bool probe_up;
	bool greetings_up;
	uint64_t since_ms;         /* up or down since then; wall.h */
	const char *cause;         /* static: what keeps it down, as in a health event; NULL: up */
	char why[BACKEND_WHY_MAX]; /* the cause's detail */
	struct probe_note last_probe;
	bool backup;
	unsigned weight;
	unsigned active;
	unsigned max_sessions; /* 0 = no limit */
};

struct pool_status {
	struct backend_status *backends; /* in the configuration's order */
	size_t count;
	unsigned waiting; /* sessions in its line */
	bool opens;       /* fail_open has set in */
};

/* Returns 0, for pool_status_fini, or -1 when there is no memory. */
int pool_look(struct pool *pool, struct pool_status *status);
void pool_status_fini(struct pool *pool, struct pool_status *status);

/* Whether it has a backend that may be given sessions, busy or not. */
bool pool_is_usable(struct pool *pool);

#endif

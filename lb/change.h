/*
 * A change of what is served: the first configuration's, or a reload's. First all that can fail,
 * then what can't, so that a change happens whole or not at all.
 *
 * Main thread.
 */
#ifndef LB_CHANGE_H
#define LB_CHANGE_H

#include "lb/worker.h"

#include <stdbool.h>
#include <stdint.h>

struct activation;
struct admin;
struct health;
struct json_t;
struct pool_set;
struct report;
struct runtime;
struct snapshot;
struct view;
struct watch;
struct watcher;

/* All that serves; the daemon owns it. */
struct serving {
	struct worker_shared shared;
	struct worker **workers;
	unsigned worker_count;
	struct pool_set *pools;
	struct health *health;
	struct watcher *watcher;
	struct admin *admin;
	struct activation *given; /* sockets that were there at the start */
	struct runtime *runtime;  /* what is served now; NULL before the first change */
	uint64_t changed_ms;      /* by wall_ms: since when */
	uint64_t changes;         /* how many there have been */
	uint64_t started_ms;      /* by clock_ms */
	bool refused;             /* a later load was */
};

/* What is to be served from now on. */
struct change {
	struct runtime *runtime;
	struct view **views; /* one a worker */
	struct watch *watch;
	struct json_t *record; /* where the pools go on from (pool_record.h); NULL: nowhere */
};

/* Binds, and makes all else that the snapshot needs; it keeps a reference of its own. Returns 0,
 * for change_commit or change_drop; or -1 with the reasons in the report, and nothing has changed.
 */
int change_prepare(struct change *change, struct serving *serving, struct snapshot *snapshot,
	struct report *report);
void change_commit(const struct change *change, struct serving *serving);
void change_drop(const struct change *change, const struct serving *serving);

#endif

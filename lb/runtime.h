/*
 * What is served: a snapshot, its living pools and limits, and the listening sockets. Made by the
 * main thread in two steps, so that a reload that can't be carried out changes nothing; immutable
 * from the commit on. The workers' views refer to it.
 *
 * Sockets are kept by address from one runtime to the next: closing a listening socket resets the
 * connections in its accept queue.
 */
#ifndef LB_RUNTIME_H
#define LB_RUNTIME_H

#include "acl/report.h"
#include "conf/snapshot.h"
#include "lb/limits.h"
#include "lb/pool_set.h"

#include <stdbool.h>
#include <stddef.h>

struct binding {
	struct endpoint endpoint;
	const struct listener_conf *listener;
	int *fds;        /* in turn a worker's, who owns his from the commit on */
	size_t fd_count; /* one for each of them, at least */
	bool inherited;  /* from the runtime before */
};

struct activation;
struct tally;

struct runtime {
	struct snapshot *snapshot;
	struct pool **pools;    /* as in the snapshot */
	struct limits **limits; /* as the snapshot's listeners */
	struct tally **tallies; /* likewise, of listener_counts (metrics.h) */
	struct binding *bindings;
	size_t binding_count;
	unsigned workers;
	unsigned refs;          /* atomic */
	struct pool_plan *plan; /* until the commit */
};

/* Prepares to serve the snapshot, which it takes a reference of. before: what is served now, NULL
 * at the start; given: sockets that are there already, NULL for none. On an error returns NULL,
 * with the reasons in the report and nothing changed. */
struct runtime *runtime_prepare(const struct runtime *before, struct activation *given,
	struct snapshot *snapshot, struct pool_set *set, unsigned workers, struct report *report);

/* Gives up a prepared runtime: closes the sockets it made. */
void runtime_drop(struct runtime *runtime);

/* Puts the pools and the limits into effect. Can't fail. */
void runtime_commit(struct runtime *runtime, struct pool_set *set);

struct runtime *runtime_ref(struct runtime *runtime);
void runtime_unref(struct runtime *runtime);

#endif

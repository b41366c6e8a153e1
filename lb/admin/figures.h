/*
 * What a scrape finds: the sums of what the workers count, and a look at the pools. Taken all at
 * once, so that the pools are held only for the moment of a copy; written out afterwards.
 *
 * Main thread.
 */
#ifndef LB_ADMIN_FIGURES_H
#define LB_ADMIN_FIGURES_H

#include "lb/admin/process.h"
#include "lb/change.h"
#include "lb/metrics.h"
#include "lb/pool_status.h"
#include "lb/runtime.h"

struct pool_figures {
	const char *name;
	struct pool *pool;
	struct pool_status status;
	struct backend_counts *counts; /* as the status' backends */
};

struct figures {
	const struct serving *serving;
	const struct snapshot *snapshot;
	struct listener_counts *listeners; /* as the snapshot's */
	struct pool_figures *pools;        /* likewise */
	size_t pool_count;                 /* that were looked at */
	struct process_figures process;
};

/* Returns 0, for figures_fini, or -1 when there is no memory. */
int figures_take(
	struct figures *figures, const struct serving *serving, const struct process *process);
void figures_fini(struct figures *figures);

#endif

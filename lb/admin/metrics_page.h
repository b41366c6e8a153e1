/*
 * The page for Prometheus: every metric that there is, in one table with its type and what it
 * means, and its samples. A listener, pool or backend of the configuration has all its series from
 * the start, but for those of troubles, which last no longer than they; one that a reload takes out
 * has none any more.
 *
 * Main thread.
 */
#ifndef LB_ADMIN_METRICS_PAGE_H
#define LB_ADMIN_METRICS_PAGE_H

#include "lb/admin/process.h"
#include "lb/change.h"

#define METRICS_TYPE "text/plain; version=0.0.4"

/* The page, for free(3); NULL when there is no memory. */
char *metrics_page(const struct serving *serving, const struct process *process);

#endif

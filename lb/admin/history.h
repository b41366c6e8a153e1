/*
 * Looks at what is counted every few seconds, so that whoever opens the status page sees at once
 * what the last quarter of an hour was like: all listeners together as samples (samples.h), each
 * backend by itself as its recent minutes (recent.h). By monotonic time.
 *
 * Main thread.
 */
#ifndef LB_ADMIN_HISTORY_H
#define LB_ADMIN_HISTORY_H

#include "lb/change.h"

#include <ev.h>
#include <jansson.h>

struct history;

/* The first look is when the loop runs; something must be served then. NULL when there is no
 * memory. */
struct history *history_new(struct ev_loop *loop, const struct serving *serving);
void history_free(struct history *history); /* NULL is fine */

/* The samples, the oldest first, as an array for each figure, and the sums over all of them. NULL
 * when there is no memory. */
json_t *history_json(const struct history *history);

#endif

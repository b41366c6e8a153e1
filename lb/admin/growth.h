/*
 * What backends have done in some time (recent.h), as JSON.
 */
#ifndef LB_ADMIN_GROWTH_H
#define LB_ADMIN_GROWTH_H

#include "lb/recent.h"

#include <jansson.h>

/* The minute of now, for recent_see and recent_sum. */
uint64_t recent_minute(void);

/* How many replies there were of each class, by its digit. */
json_t *growth_replies_json(const struct growth *growth);

/* So many percent of the greetings took at most, in milliseconds; null where there was none. */
json_t *growth_quantile_json(const struct growth *growth, unsigned percent);

/* How long it took to greet: count, p50_ms and p99_ms. */
json_t *growth_greeting_json(const struct growth *growth);

#endif

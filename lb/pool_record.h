/*
 * What is ordered and measured of every backend, as a record in JSON that outlives the process: the
 * next one goes on with it (replacement.h). Times are of CLOCK_MONOTONIC, which both share, but for
 * what people read.
 *
 * An array, an object a backend:
 *
 *	{"pool": "relays", "backend": "relay1", "address": "10.0.1.11", "state": "drain",
 *	 "cut_at_ms": 123456, "since_ms": 1764000000000, "probe": "status 503", "greetings": null}
 *
 * probe and greetings say why they keep it down, null when they don't. Main thread.
 */
#ifndef LB_POOL_RECORD_H
#define LB_POOL_RECORD_H

#include "lb/change.h"

#include <jansson.h>

/* NULL when there is no memory. */
json_t *pool_record_new(const struct serving *serving);

/* Goes on where the record ends, with those backends that are still there by pool, name and
 * address. What is not of that shape is left out. */
void pool_record_restore(const json_t *record, const struct serving *serving);

#endif

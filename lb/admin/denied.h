/*
 * The sources that were turned away most often, as JSON.
 */
#ifndef LB_ADMIN_DENIED_H
#define LB_ADMIN_DENIED_H

#include "lb/change.h"

#include <jansson.h>
#include <stddef.h>

/* {"denied": [...]}, at most so many rows, the most frequent first (denied.h), each with
 * count, at_least, last, listener, network, address, country, asn, rule and fix. A country and a
 * network number are null where no database says so. `rule` and `fix` (fix.h) are by the
 * configuration of now: null for a listener that is no more, and `fix` for a source that would be
 * let in now. NULL when there is no memory. */
json_t *denied_json(const struct serving *serving, size_t rows);

#endif

/*
 * What a running balancer has and does, as JSON.
 */
#ifndef LB_ADMIN_STATUS_H
#define LB_ADMIN_STATUS_H

#include "lb/change.h"

#include <jansson.h>
#include <stdbool.h>

/* All of it. NULL when there is no memory. */
json_t *status_json(const struct serving *serving, bool stopping);

/* Whether a session could be served: some pool that a listener uses has a backend that may take
 * one. */
bool status_is_healthy(const struct serving *serving);

#endif

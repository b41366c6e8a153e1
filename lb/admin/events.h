/*
 * The latest events (event.h), as JSON.
 */
#ifndef LB_ADMIN_EVENTS_H
#define LB_ADMIN_EVENTS_H

#include <jansson.h>

/* {"events": [...]}, the latest first, each as the log has it with `format = json`. NULL when there
 * is no memory. */
json_t *events_json(void);

#endif

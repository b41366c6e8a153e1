/*
 * The latest events (event.h), as JSON.
 */
#ifndef LB_ADMIN_EVENTS_H
#define LB_ADMIN_EVENTS_H

/* {"events": [...]}, the latest first, each as the log has it with `format = json`. For free(3);
 * NULL when there is no memory. */
char *events_json(void);

#endif

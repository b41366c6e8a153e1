/*
 * Events that an operator wants to see at a glance: a relay went down, a reload was refused. Each
 * is a line of the log like any other, made by the same calls (log.h), and the latest of them are
 * remembered for the status page, as JSON, whatever the log's level and format are. What happens
 * once a session is no such event: it would push out all others.
 *
 * Any thread. A lock is held for the copy of one line.
 */
#ifndef LB_EVENT_H
#define LB_EVENT_H

#include "lb/log.h"

struct event {
	struct log_line logged;
	struct log_line kept;
};

void event_begin(struct event *event, enum log_level level, const char *name);
void event_text(struct event *event, const char *key, const char *value);
void event_number(struct event *event, const char *key, uint64_t value);
void event_end(struct event *event);

/* How many there have been, and one of them by its number: see event_ring.h. */
uint64_t event_count(void);
size_t event_read(uint64_t number, char text[LOG_LINE_MAX]);

#endif

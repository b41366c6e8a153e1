/*
 * The latest events, as lines of JSON: the newest take the place of the oldest. Fixed memory, of
 * which those lines touch what they need; no lock of its own.
 */
#ifndef LB_EVENT_RING_H
#define LB_EVENT_RING_H

#include "lb/log.h"

#include <stddef.h>
#include <stdint.h>

enum {
	EVENT_RING_LINES = 100,
};

struct event_line {
	uint16_t len;
	char text[LOG_LINE_MAX];
};

/* Zeroed: empty. */
struct event_ring {
	uint64_t count; /* of all that there have been: the next one's number */
	struct event_line lines[EVENT_RING_LINES];
};

/* len: at most LOG_LINE_MAX. */
void event_ring_push(struct event_ring *ring, const char *text, size_t len);

/* Copies the line of that number, counted from 0, and returns its length; 0 when it is not there
 * any more, or not yet. */
size_t event_ring_read(const struct event_ring *ring, uint64_t number, char text[LOG_LINE_MAX]);

#endif

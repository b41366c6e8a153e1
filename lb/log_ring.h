/*
 * The log's queue itself: a ring of lines, each with its level and where it is to go. Fixed memory;
 * no lock of its own.
 */
#ifndef LB_LOG_RING_H
#define LB_LOG_RING_H

#include "lb/log.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What stands in front of a line's text. */
struct log_record {
	uint16_t len; /* of the text, at most LOG_LINE_MAX */
	uint8_t level;
	uint8_t target;
};

/* Zeroed: empty. */
struct log_ring {
	size_t head, used;
	uint64_t lines;
	char bytes[LOG_QUEUE_MAX];
};

/* False when there is no room. */
bool log_ring_push(struct log_ring *ring, const struct log_record *record, const char *text);

/* The first line's record; false when there is none. */
bool log_ring_peek(const struct log_ring *ring, struct log_record *record);

/* Takes the first line out, of which there must be one; text has room for it, or is NULL. */
void log_ring_pull(struct log_ring *ring, char *text);

#endif

/*
 * See log_ring.h.
 */
#include "lb/log_ring.h"

#include <assert.h>
#include <string.h>

/* How many of the len bytes from a place in the ring stand before its end. */
static size_t
straight(size_t at, size_t len)
{
	return LOG_QUEUE_MAX - at < len ? LOG_QUEUE_MAX - at : len;
}

static void
append(struct log_ring *ring, const void *from, size_t len)
{
	size_t tail = (ring->head + ring->used) % LOG_QUEUE_MAX;
	size_t first = straight(tail, len);
	memcpy(ring->bytes + tail, from, first);
	memcpy(ring->bytes, (const char *)from + first, len - first);
	ring->used += len;
}

static void
copy(const struct log_ring *ring, size_t skip, void *to, size_t len)
{
	size_t at = (ring->head + skip) % LOG_QUEUE_MAX;
	size_t first = straight(at, len);
	memcpy(to, ring->bytes + at, first);
	memcpy((char *)to + first, ring->bytes, len - first);
}

bool
log_ring_push(struct log_ring *ring, const struct log_record *record, const char *text)
{
	if (sizeof(*record) + record->len > LOG_QUEUE_MAX - ring->used)
		return false;
	append(ring, record, sizeof(*record));
	append(ring, text, record->len);
	ring->lines++;
	return true;
}

bool
log_ring_peek(const struct log_ring *ring, struct log_record *record)
{
	if (ring->used == 0)
		return false;
	copy(ring, 0, record, sizeof(*record));
	return true;
}

void
log_ring_pull(struct log_ring *ring, char *text)
{
	struct log_record record = {.len = 0};
	bool found = log_ring_peek(ring, &record);
	assert(found);
	(void)found;
	if (text)
		copy(ring, sizeof(record), text, record.len);
	size_t len = sizeof(record) + record.len;
	ring->used -= len;
	ring->lines--;
	/* An empty ring starts anew, so that a quiet log touches little of its memory. */
	ring->head = ring->used > 0 ? (ring->head + len) % LOG_QUEUE_MAX : 0;
}

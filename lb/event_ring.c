/*
 * See event_ring.h.
 */
#include "lb/event_ring.h"

#include <assert.h>
#include <string.h>

void
event_ring_push(struct event_ring *ring, const char *text, size_t len)
{
	struct event_line *line = &ring->lines[ring->count % EVENT_RING_LINES];
	assert(len <= LOG_LINE_MAX);
	memcpy(line->text, text, len);
	line->len = (uint16_t)len;
	ring->count++;
}

size_t
event_ring_read(const struct event_ring *ring, uint64_t number, char text[LOG_LINE_MAX])
{
	if (number >= ring->count || ring->count - number > EVENT_RING_LINES)
		return 0;
	const struct event_line *line = &ring->lines[number % EVENT_RING_LINES];
	memcpy(text, line->text, line->len);
	return line->len;
}

/*
 * See events.h. The lines are JSON already: they are only put together.
 */
#include "lb/admin/events.h"

#include "lb/event.h"
#include "lb/event_ring.h"

#include <stdlib.h>
#include <string.h>

static const char head[] = "{\"events\":[", tail[] = "]}";

char *
events_json(void)
{
	char *text = malloc(sizeof(head) + (size_t)EVENT_RING_LINES * LOG_LINE_MAX + sizeof(tail));
	if (!text)
		return NULL;
	size_t len = sizeof(head) - 1, added;
	uint64_t count = event_count();
	memcpy(text, head, len);
	/* Meanwhile the oldest may have gone; what is newer is left to the next who asks. */
	for (uint64_t i = count; i > 0 && (added = event_read(i - 1, text + len)); i--) {
		len += added;
		text[len - 1] = ','; /* in place of its newline */
	}
	if (text[len - 1] == ',')
		len--;
	memcpy(text + len, tail, sizeof(tail));
	return text;
}

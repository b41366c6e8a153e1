/*
 * See events.h.
 */
#include "lb/admin/events.h"

#include "lb/admin/answer.h"
#include "lb/event.h"

json_t *
events_json(void)
{
	json_t *array = json_array();
	char text[LOG_LINE_MAX];
	size_t len;
	/* A peer's text may have a NUL in it. */
	for (uint64_t i = event_count(); i > 0 && (len = event_read(i - 1, text)); i--)
		array = answer_add(array, json_loadb(text, len, JSON_ALLOW_NUL, NULL));
	return json_pack("{s:o}", "events", array);
}

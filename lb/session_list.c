/*
 * See session_list.h.
 */
#include "lb/session_list.h"

#include "lb/backend.h"
#include "lb/clock.h"
#include "lb/session.h"
#include "lb/session_log.h"

#include <stdio.h>
#include <stdlib.h>

static void
copy_name(char *to, const char *name)
{
	snprintf(to, NAME_LEN_MAX + 1, "%s", name);
}

static void
look(struct session_info *info, const struct session *session, uint64_t now)
{
	*info = (struct session_info){
		.id = session->id,
		.client = session->source,
		.phase = phase_name(session->phase),
		.place = session_place_name(session),
		.messages = session->greeted ? tracker_messages(&session->tracker) : 0,
		.age_ms = now - session->began_us / 1000,
		.bytes_in = session->bytes_in,
		.bytes_out = session->bytes_out,
		.attempts = session->attempts,
		.cipher = session->client.cipher,
	};
	copy_name(info->listener, session->listener->name);
	copy_name(info->pool, session->listener->pool->name);
	if (!session->relay)
		return;
	copy_name(info->backend, session->relay->name);
	info->backend_addr = session_relay_endpoint(session);
}

void
session_list_fill(struct session_list *list, const struct session *first)
{
	size_t count = 0;
	uint64_t now = clock_ms();
	for (const struct session *session = first; session; session = session->next)
		count++;
	list->items = count ? malloc(count * sizeof(*list->items)) : NULL;
	list->lost = count && !list->items;
	list->count = 0;
	for (const struct session *session = first; session && list->items; session = session->next)
		look(&list->items[list->count++], session, now);
	list->done(list->context);
}

/*
 * See sessions.h.
 */
#include "lb/admin/sessions.h"

#include "conf/profile.h"
#include "lb/admin/answer.h"
#include "lb/session_list.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum {
	OK = 200,
	UNAVAILABLE = 503,
	EXCHANGES_MAX = 128, /* no more connections can ask */
};

struct sessions {
	struct ev_loop *loop;
	const struct serving *serving;
	unsigned workers;
	struct session_list *lists; /* one a worker */
	unsigned pending;           /* lists that are not done; atomic */
	ev_async done;
	struct http_exchange *exchanges[EXCHANGES_MAX];
	size_t count; /* of them; more than none while the workers are asked */
};

static json_t *
address_json(const struct endpoint *endpoint)
{
	char text[ENDPOINT_TEXT_MAX];
	return endpoint->port ? json_string(endpoint_format(endpoint, text)) : json_null();
}

static json_t *
session_json(const struct session_info *info)
{
	char id[17], tls[PROFILE_TEXT_MAX];
	snprintf(id, sizeof(id), "%016" PRIx64, info->id);
	return json_pack(
		"{s:s, s:s, s:o, s:s, s:s?, s:o, s:s, s:s?, s:s?, s:I, s:I, s:i, s:I, s:I}", "id",
		id, "listener", info->listener, "client", address_json(&info->client), "pool",
		info->pool, "backend", *info->backend ? info->backend : NULL, "backend_addr",
		address_json(&info->backend_addr), "phase", info->phase, "place", info->place,
		"tls", info->cipher ? profile_format(info->cipher, tls) : NULL, "messages",
		(json_int_t)info->messages, "age_ms", (json_int_t)info->age_ms, "attempts",
		(int)info->attempts, "bytes_in", (json_int_t)info->bytes_in, "bytes_out",
		(json_int_t)info->bytes_out);
}

static json_t *
all_json(const struct sessions *sessions)
{
	json_t *array = json_array();
	for (unsigned i = 0; i < sessions->workers; i++) {
		const struct session_list *list = &sessions->lists[i];
		for (size_t j = 0; j < list->count; j++)
			array = answer_add(array, session_json(&list->items[j]));
		if (list->lost) {
			json_decref(array);
			return NULL;
		}
	}
	return json_pack("{s:o}", "sessions", array);
}

static void
clear(struct sessions *sessions)
{
	for (unsigned i = 0; i < sessions->workers; i++) {
		free(sessions->lists[i].items);
		sessions->lists[i].items = NULL;
		sessions->lists[i].count = 0;
	}
}

static void
on_done(struct ev_loop *loop, ev_async *done, int ready)
{
	(void)loop;
	(void)ready;
	struct sessions *sessions = done->data;
	if (__atomic_load_n(&sessions->pending, __ATOMIC_ACQUIRE) || !sessions->count)
		return;
	json_t *json = all_json(sessions);
	clear(sessions);
	for (size_t i = 0; i < sessions->count; i++)
		answer_json(sessions->exchanges[i], OK, json_incref(json));
	sessions->count = 0;
	json_decref(json);
}

/* In a worker's thread. */
static void
on_list_done(void *context)
{
	struct sessions *sessions = context;
	__atomic_sub_fetch(&sessions->pending, 1, __ATOMIC_RELEASE);
	ev_async_send(sessions->loop, &sessions->done);
}

struct sessions *
sessions_new(struct ev_loop *loop, const struct serving *serving)
{
	struct sessions *sessions = calloc(1, sizeof(*sessions));
	if (!sessions)
		return NULL;
	sessions->lists = calloc(serving->worker_count, sizeof(*sessions->lists));
	if (!sessions->lists) {
		free(sessions);
		return NULL;
	}
	sessions->loop = loop;
	sessions->serving = serving;
	sessions->workers = serving->worker_count;
	ev_async_init(&sessions->done, on_done);
	sessions->done.data = sessions;
	ev_async_start(loop, &sessions->done);
	return sessions;
}

void
sessions_free(struct sessions *sessions)
{
	if (!sessions)
		return;
	clear(sessions);
	ev_async_stop(sessions->loop, &sessions->done);
	free(sessions->lists);
	free(sessions);
}

void
sessions_give(struct sessions *sessions, struct http_exchange *exchange)
{
	if (sessions->count == EXCHANGES_MAX) {
		answer_error(exchange, UNAVAILABLE, "too many ask", NULL);
		return;
	}
	sessions->exchanges[sessions->count++] = exchange;
	if (sessions->count > 1)
		return;
	/* One more, for ourselves: it is not done before all have been asked. */
	__atomic_store_n(&sessions->pending, sessions->workers + 1, __ATOMIC_RELAXED);
	for (unsigned i = 0; i < sessions->workers; i++) {
		struct session_list *list = &sessions->lists[i];
		*list = (struct session_list){.done = on_list_done, .context = sessions};
		if (!worker_list(sessions->serving->workers[i], list))
			on_list_done(sessions);
	}
	on_list_done(sessions);
}

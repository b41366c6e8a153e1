/*
 * See offer.h. Worker's thread.
 */
#include "lb/offer.h"

#include "lb/session.h"
#include "lb/starttls.h"
#include "lb/view.h"
#include "lb/wire/ehlo.h"
#include "lb/worker.h"

/* A list of chunks in the making. */
struct list {
	struct chunk *first, **end;
};

static int
add(struct list *list, struct chunk *chunk)
{
	if (!chunk)
		return -1;
	*list->end = chunk;
	chunk->next = NULL;
	list->end = &chunk->next;
	return 0;
}

static int
add_copy(struct session *session, struct list *list, const uint8_t *bytes, size_t len)
{
	return len == 0 ? 0 : add(list, starttls_copy(session, bytes, len));
}

static int
hold_ehlo(struct session *session, const uint8_t *bytes, size_t len)
{
	struct starttls *starttls = session->starttls;
	struct chunk *part = len <= CHUNK_SIZE ? starttls_copy(session, bytes, len) : NULL;
	if (!part)
		return -1;
	if (!starttls->ehlo) {
		starttls->ehlo = part;
		return 0;
	}
	if (chunk_join(starttls->ehlo, part))
		return 0;
	chunk_put(part);
	return -1;
}

struct chunk *
offer_last_reply(struct session *session)
{
	if (!session->starttls)
		return NULL;
	struct chunk *reply = session->starttls->ehlo;
	session->starttls->ehlo = NULL;
	return reply;
}

static int
add_edited(struct session *session, struct list *list)
{
	struct chunk *reply = offer_last_reply(session);
	struct chunk *edited = chunk_get_large(&worker_io(view_worker(session->view))->chunks);
	if (edited)
		edited->len =
			ehlo_edit(reply->data, reply->len, !starttls_is_on(session), edited->bytes);
	chunk_put(reply);
	return add(list, edited);
}

/* More of a reply to EHLO. One that turns out to be no reply goes on as it is. */
static int
take_ehlo(struct session *session, const uint8_t *bytes, size_t len, bool whole, struct list *list)
{
	if (hold_ehlo(session, bytes, len) < 0)
		return -1;
	if (whole)
		return add_edited(session, list);
	bool is_none = session->tracker.opaque != OPAQUE_NOT;
	return is_none ? add(list, offer_last_reply(session)) : 0;
}

/* The list stays empty where nothing is to be changed. */
static int
read_along(
	struct session *session, const struct chunk *chunk, tracker_tell *tell, struct list *list)
{
	size_t begun = 0;
	for (size_t at = 0; at < chunk->len;) {
		bool is_ehlo = session->starttls->ehlo ||
			       (tracker_awaited(&session->tracker) == VERB_EHLO &&
				       !tracker_is_in_reply(&session->tracker));
		bool whole;
		size_t taken = tracker_read_reply(&session->tracker, chunk->data + at,
			chunk->len - at, &whole, tell, session);
		if (is_ehlo) {
			if (add_copy(session, list, chunk->data + begun, at - begun) < 0 ||
				take_ehlo(session, chunk->data + at, taken, whole, list) < 0)
				return -1;
			begun = at + taken;
		}
		at += taken;
	}
	return begun == 0 ? 0 : add_copy(session, list, chunk->data + begun, chunk->len - begun);
}

struct chunk *
offer_read_relay(struct session *session, struct chunk *chunk, tracker_tell *tell)
{
	struct list list = {.end = &list.first};
	bool had_ehlo = session->starttls->ehlo != NULL;
	bool failed = read_along(session, chunk, tell, &list) < 0;
	if (!failed && !list.first && !had_ehlo && !session->starttls->ehlo) {
		chunk->next = NULL;
		return chunk;
	}
	chunk_put(chunk);
	return failed ? starttls_give_up(session, list.first) : list.first;
}

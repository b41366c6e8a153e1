/*
 * Receiving the PROXY header: the client's conn in PHASE_RECV_PROXY. Worker's thread; the reader is
 * the session's, as long as the phase lasts.
 */
#include "lb/proxy_in.h"

#include "lb/clock.h"
#include "lb/session.h"
#include "lb/session_log.h"
#include "lb/session_counts.h"
#include "lb/view.h"
#include "lb/wire/proxy_reader.h"
#include "lb/worker.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
	STOP_MS = 1000, /* for a header that was on its way when the worker stopped */
	LEAVE_MS = 100, /* for a check that only connects */
};

bool
proxy_in_is_due(const struct session *session)
{
	const struct listener_conf *listener = session->listener;
	for (size_t i = 0; i < listener->accept_proxy_count; i++) {
		if (prefix_contains(&listener->accept_proxy[i], &session->source.addr))
			return true;
	}
	return false;
}

static void
fail(struct session *session, const char *why, enum session_end end)
{
	session_log_fault(session, "proxy", why);
	session_decide(session, RESULT_ERROR, end);
	session_close(session);
}

/* The session goes on under the configuration of now: whom a reload has denied meanwhile is denied,
 * and whom it no longer trusts is not believed. */
static int
renew_view(struct session *session)
{
	struct view *view = worker_view(view_worker(session->view));
	const struct listener_conf *listener =
		view ? view_find_listener(view, session->listener->name) : NULL;
	if (!listener || view == session->view)
		return 0;
	session_counts_leave(session);
	view_ref(view);
	view_unref(session->view);
	session->view = view;
	session->listener = listener;
	session_counts_enter(session);
	return proxy_in_is_due(session) ? 0 : -1;
}

static void
on_left(struct conn *conn)
{
	struct session *session = session_of_client(conn);
	session_decide(session, RESULT_CLIENT_LOST, END_CLIENT);
	session_close(session);
}

static const struct conn_events checking_client_events = {
	.left = on_left,
};

/* Takes over what was announced. Returns whether that was the connection itself: by LOCAL and its
 * like, or by its own addresses, as version 1 has it. */
static bool
take_header(struct session *session)
{
	const struct proxy_reader *reader = session->header;
	bool is_own = !reader->announced || endpoint_equal(&reader->source, &session->source);
	if (reader->announced) {
		session->source = reader->source;
		session->destination = reader->destination;
	}
	proxy_in_abandon(session);
	return is_own;
}

/* The header has come. */
static void
begin(struct session *session)
{
	if (renew_view(session) < 0) {
		fail(session, "its source is no longer trusted", END_BALANCER);
		return;
	}
	if (take_header(session) && !session->client.has_early_data) {
		session->client.events = &checking_client_events;
		session_set_deadline(session, LEAVE_MS);
		conn_await_leave(&session->client);
	} else {
		session_screen(session);
	}
}

static void
on_received(struct conn *conn, struct chunk *chunk)
{
	struct session *session = session_of_client(conn);
	ssize_t taken = proxy_reader_feed(session->header, chunk->data, chunk->len);
	if (taken > 0) {
		conn_pause(conn);
		chunk->data += taken;
		chunk->len -= (size_t)taken;
		conn_unread(conn, chunk);
		begin(session);
		return;
	}
	chunk_put(chunk);
	if (taken < 0)
		fail(session, session->header->why, END_BALANCER);
}

static void
on_ended(struct conn *conn)
{
	struct session *session = session_of_client(conn);
	fail(session,
		session->header->total ? "closed within the header" : "closed without a header",
		END_CLIENT);
}

static void
on_failed(struct conn *conn, int error)
{
	/* For want of memory it was given up by us. */
	fail(session_of_client(conn), strerror(error), error == ENOMEM ? END_BALANCER : END_CLIENT);
}

static const struct conn_events proxy_client_events = {
	.received = on_received,
	.ended = on_ended,
	.failed = on_failed,
};

void
proxy_in_enter(struct session *session)
{
	session->has_room = worker_take_room(view_worker(session->view));
	session->header = malloc(sizeof(*session->header));
	if (!session->has_room || !session->header) {
		session_limit(session, session->has_room ? LIMIT_RESOURCES : LIMIT_MAX_SESSIONS);
		return;
	}
	proxy_reader_init(session->header);
	session->client.events = &proxy_client_events;
	session_set_phase(session, PHASE_RECV_PROXY);
	session_set_deadline(session, session->listener->proxy_timeout_ms);
	conn_receive(&session->client);
}

void
proxy_in_timeout(struct session *session)
{
	if (session->header)
		fail(session, "no complete header in time", END_BALANCER);
	else
		session_screen(session);
}

void
proxy_in_hurry(struct session *session)
{
	uint64_t left_ms = clock_ms_until(session->deadline_ms);
	session_set_deadline(session, clock_min(left_ms, STOP_MS));
}

void
proxy_in_abandon(struct session *session)
{
	free(session->header);
	session->header = NULL;
}

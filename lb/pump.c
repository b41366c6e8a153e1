/*
 * The pump: the events of both conns once the gate is open. The two sides are treated alike: each
 * event on one of them acts on the other.
 */
#include "lb/pump.h"

#include "lb/session.h"
#include "lb/worker.h"

#include <stddef.h>

enum {
	LINGER_MS = 5000, /* for the other side to take its last bytes and leave */
};

static struct session *
session_of_client(struct conn *client)
{
	return (struct session *)((char *)client - offsetof(struct session, client));
}

static struct session *
session_of_backend(struct conn *backend)
{
	return (struct session *)((char *)backend - offsetof(struct session, backend));
}

/* After progress, or at a phase's start: the deadline for the next. Once a side is lost the other
 * has as long as ever to take what is queued for it, and then a moment to leave. */
static void
touch(struct session *session)
{
	bool flushed = conn_is_flushed(&session->client) && conn_is_flushed(&session->backend);
	session_set_deadline(session, session->phase == PHASE_FLUSH && flushed
					      ? LINGER_MS
					      : session->listener->idle_timeout_ms);
}

/* Closes once both peers have ended and have got everything. */
static void
close_if_done(struct session *session)
{
	if (session->client.ended && session->backend.ended && conn_is_flushed(&session->client) &&
		conn_is_flushed(&session->backend))
		session_close(session);
}

/* One side is lost. The other gets what was received before, and a bounded time to take it. */
static void
lose_side(struct session *session, struct conn *lost)
{
	bool is_client = lost == &session->client;
	struct conn *other = is_client ? &session->backend : &session->client;
	session_decide(session, is_client ? RESULT_CLIENT_LOST : RESULT_BACKEND_LOST,
		is_client ? END_CLIENT : END_BACKEND);
	conn_close(lost);
	conn_shutdown(other);
	if (!conn_is_open(other) || (other->ended && conn_is_flushed(other))) {
		session_close(session);
		return;
	}
	session_set_phase(session, PHASE_FLUSH);
	touch(session);
	conn_receive(other);
}

static void
pass_on(struct session *session, struct conn *from, struct conn *to, struct chunk *chunk)
{
	bool sent = conn_send(to, chunk);
	touch(session);
	if (to->broken && to->ended && session->phase == PHASE_PUMP)
		lose_side(session, to);
	else if (!sent)
		conn_pause(from);
}

/* A FIN. From a peer that takes no more either it is the end of a lost connection. */
static void
end_side(struct session *session, struct conn *ended)
{
	bool is_client = ended == &session->client;
	if (ended->broken) {
		lose_side(session, ended);
		return;
	}
	session_decide(session, RESULT_OK, is_client ? END_CLIENT : END_BACKEND);
	conn_shutdown(is_client ? &session->backend : &session->client);
	close_if_done(session);
}

/* All that waited for a side has gone to it: the other may send again. */
static void
resume_other(struct session *session, struct conn *other)
{
	touch(session);
	if (conn_is_open(other) && !other->ended)
		conn_receive(other);
	close_if_done(session);
}

static void
client_received(struct conn *conn, struct chunk *chunk)
{
	struct session *session = session_of_client(conn);
	session->bytes_in += chunk->len;
	pass_on(session, conn, &session->backend, chunk);
}

static void
client_ended(struct conn *conn)
{
	end_side(session_of_client(conn), conn);
}

static void
client_failed(struct conn *conn, int error)
{
	(void)error;
	lose_side(session_of_client(conn), conn);
}

static void
client_sent(struct conn *conn)
{
	struct session *session = session_of_client(conn);
	resume_other(session, &session->backend);
}

static const struct conn_events pump_client_events = {
	.received = client_received,
	.ended = client_ended,
	.failed = client_failed,
	.sent = client_sent,
};

static void
backend_received(struct conn *conn, struct chunk *chunk)
{
	struct session *session = session_of_backend(conn);
	session->bytes_out += chunk->len;
	pass_on(session, conn, &session->client, chunk);
}

static void
backend_ended(struct conn *conn)
{
	end_side(session_of_backend(conn), conn);
}

static void
backend_failed(struct conn *conn, int error)
{
	(void)error;
	lose_side(session_of_backend(conn), conn);
}

static void
backend_sent(struct conn *conn)
{
	struct session *session = session_of_backend(conn);
	resume_other(session, &session->client);
}

static const struct conn_events pump_backend_events = {
	.received = backend_received,
	.ended = backend_ended,
	.failed = backend_failed,
	.sent = backend_sent,
};

void
pump_start(struct session *session, struct chunk *greeting)
{
	session->client.events = &pump_client_events;
	session->backend.events = &pump_backend_events;
	session_set_phase(session, PHASE_PUMP);
	touch(session);
	bool flushed = true;
	while (greeting) {
		struct chunk *next = greeting->next;
		session->bytes_out += greeting->len;
		flushed = conn_send(&session->client, greeting);
		greeting = next;
	}
	if (!flushed)
		conn_pause(&session->backend);
	conn_receive(&session->client);
}

/* Lingering: the client's bytes are dropped until it has gone. */

static void
linger_received(struct conn *conn, struct chunk *chunk)
{
	(void)conn;
	chunk_put(chunk);
}

static void
linger_ended(struct conn *conn)
{
	session_close(session_of_client(conn));
}

static void
linger_failed(struct conn *conn, int error)
{
	(void)error;
	session_close(session_of_client(conn));
}

static void
linger_sent(struct conn *conn)
{
	(void)conn;
}

static const struct conn_events linger_client_events = {
	.received = linger_received,
	.ended = linger_ended,
	.failed = linger_failed,
	.sent = linger_sent,
};

void
pump_linger(struct session *session)
{
	session->client.events = &linger_client_events;
	conn_close(&session->backend);
	conn_shutdown(&session->client);
	session_set_phase(session, PHASE_FLUSH);
	touch(session);
	conn_receive(&session->client);
}

void
pump_timeout(struct session *session)
{
	if (session->phase == PHASE_PUMP)
		session_decide(session, RESULT_IDLE, END_BALANCER);
	session_close(session);
}

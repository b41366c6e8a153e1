/*
 * Lingering: the events of a client's conn that only has to leave. Worker's thread.
 */
#include "lb/linger.h"

#include "lb/session.h"
#include "lb/view.h"
#include "lb/worker.h"

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

/* A client that has said its last leaves with the last that it gets. */
static void
linger_sent(struct conn *conn)
{
	if (conn->ended)
		session_close(session_of_client(conn));
}

static const struct conn_events linger_events = {
	.received = linger_received,
	.ended = linger_ended,
	.failed = linger_failed,
	.sent = linger_sent,
};

void
linger_start(struct session *session)
{
	session->client.events = &linger_events;
	bool has_left = session->client.ended && conn_is_flushed(&session->client);
	conn_close(&session->backend);
	conn_shutdown(&session->client);
	session->lingers =
		!has_left && !session->hurried && worker_take_linger(view_worker(session->view));
	if (!session->lingers) {
		conn_discard(&session->client);
		session_close(session);
		return;
	}
	session_set_phase(session, PHASE_FLUSH);
	session_set_deadline(session, LINGER_MS);
	conn_receive(&session->client);
}

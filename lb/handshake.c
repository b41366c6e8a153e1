/*
 * The handshake: the client's conn in PHASE_HANDSHAKE. Worker's thread.
 */
#include "lb/handshake.h"

#include "lb/io/tls.h"
#include "lb/session.h"
#include "lb/session_counts.h"
#include "lb/session_log.h"
#include "lb/starttls.h"

#include <errno.h>
#include <string.h>

static void
fail(struct session *session, enum handshake_failure why, const char *detail, enum session_end end)
{
	session_log_fault(session, "tls", detail);
	session_counts_failed_handshake(session, why);
	session_decide(session, RESULT_ERROR, end);
	session_close(session);
}

static void
on_secured(struct conn *conn)
{
	struct session *session = session_of_client(conn);
	session_counts_handshake(session, conn->resumed ? HANDSHAKE_RESUMED : HANDSHAKE_FULL);
	conn_pause(conn);
	if (session->greeted)
		starttls_secured(session);
	else
		session_pass(session);
}

static void
on_ended(struct conn *conn)
{
	fail(session_of_client(conn), FAILURE_CLOSED, "closed within the handshake", END_CLIENT);
}

static void
on_failed(struct conn *conn, int error)
{
	struct session *session = session_of_client(conn);
	const char *why = tls_why(conn);
	if (error == EPROTO)
		fail(session, FAILURE_PROTOCOL, why ? why : "no TLS", END_CLIENT);
	else if (error == ENOMEM) /* given up by us */
		fail(session, FAILURE_RESOURCES, strerror(error), END_BALANCER);
	else
		fail(session, FAILURE_CLOSED, strerror(error), END_CLIENT);
}

static const struct conn_events handshake_events = {
	.secured = on_secured,
	.ended = on_ended,
	.failed = on_failed,
};

int
handshake_begin(struct session *session, SSL *ssl)
{
	if (tls_start(&session->client, ssl) < 0)
		return -1;
	session->client.events = &handshake_events;
	session_set_phase(session, PHASE_HANDSHAKE);
	session_set_deadline(session, HANDSHAKE_MS);
	conn_receive(&session->client);
	return 0;
}

void
handshake_enter(struct session *session)
{
	SSL *ssl = certificates_open(session->listener->certificates);
	if (!ssl || handshake_begin(session, ssl) < 0)
		session_limit(session, LIMIT_RESOURCES);
}

void
handshake_timeout(struct session *session)
{
	fail(session, FAILURE_TIMEOUT, "no complete handshake in time", END_BALANCER);
}

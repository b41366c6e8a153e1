/*
 * Attempts: their events, their log line, and what they tell the pool. Worker's thread; a chunk
 * that is held belongs to the attempt until the gate is passed.
 */
#include "lb/attempt.h"

#include "lb/attempt_tls.h"
#include "conf/profile.h"
#include "lb/clock.h"
#include "lb/gate.h"
#include "lb/io/socket.h"
#include "lb/io/tls.h"
#include "lb/log.h"
#include "lb/session.h"
#include "lb/session_log.h"
#include "lb/session_counts.h"
#include "lb/starttls.h"
#include "lb/view.h"
#include "lb/wire/proxy_tlv.h"
#include "lb/worker.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static enum cause
cause_of_errno(int error)
{
	switch (error) {
	case ECONNREFUSED:
		return CAUSE_REFUSED;
	case ECONNRESET:
	case EPIPE:
		return CAUSE_RESET;
	case ETIMEDOUT:
		return CAUSE_CONNECT_TIMEOUT;
	case EMFILE:
	case ENFILE:
	case ENOMEM:
	case ENOBUFS:
	case EAGAIN:        /* no local port left (socket_connect) */
	case EADDRNOTAVAIL: /* source_address is not ours */
		return CAUSE_RESOURCES;
	default:
		return CAUSE_UNREACHABLE;
	}
}

static void
drop_held(struct attempt *attempt)
{
	chunk_put_all(attempt->held);
	attempt->held = NULL;
}

static size_t
add_tlvs(const struct session *session, uint8_t header[PROXY_HEADER_MAX], size_t len)
{
	char id[SESSION_ID_MAX];
	struct proxy_extras extras = {.unique_id = session_id_format(session, id)};
	uint16_t cipher = session->client.cipher;
	if (cipher) {
		extras.authority = starttls_name(session);
		extras.version = profile_version_name(cipher);
		extras.cipher = profile_cipher_name(cipher);
	}
	return proxy_add_tlvs(header, len, &extras);
}

static int
send_header(struct session *session)
{
	uint8_t header[PROXY_HEADER_MAX];
	const struct pool_conf *conf = session->listener->pool;
	size_t len = proxy_encode(header, conf->proxy, &session->source, &session->destination);
	if (conf->proxy_tlv)
		len = add_tlvs(session, header, len);
	return len == 0 ? 0 : conn_send_whole(&session->backend, header, len);
}

/* Gives back the backend of an attempt, and its conn. One that stands without our knowing yet gets
 * its header all the same: Postfix logs one without as `haproxy read: lost connection`. */
static void
end_attempt(struct session *session, struct attempt *attempt, enum attempt_outcome outcome,
	const char *why)
{
	drop_held(attempt);
	if (session->phase == PHASE_CONNECT && conn_is_open(&session->backend))
		send_header(session);
	conn_close(&session->backend);
	pool_attempted(&attempt->pick, outcome, why);
	pool_release(session->relay);
	session->relay = NULL;
}

/* What an errno of connecting means, for the log. */
static const char *
describe(int error, const struct pool_conf *conf, char *text, size_t size)
{
	char address[ADDR_TEXT_MAX];
	switch (error) {
	case EADDRNOTAVAIL:
		snprintf(text, size, "source_address %s is no address of this machine",
			addr_format(&conf->source_address, address));
		return text;
	case EAGAIN:
		return "no local port is free";
	default:
		return strerrordesc_np(error);
	}
}

static enum attempt_outcome
outcome_of(struct attempt *attempt, enum cause cause)
{
	bool timed_out = cause == CAUSE_CONNECT_TIMEOUT || cause == CAUSE_GREETING_TIMEOUT;
	if (cause == CAUSE_RESOURCES || (timed_out && attempt->cut_short))
		return ATTEMPT_ABANDONED;
	if (tried_has(&attempt->failed, attempt->pick.mark))
		return ATTEMPT_REPEATED;
	tried_add(&attempt->failed, attempt->pick.mark);
	return ATTEMPT_FAILED;
}

/* Logs a failed attempt and gives its backend back. reply and detail may be NULL. */
static void
fail(struct session *session, struct attempt *attempt, enum cause cause, const char *reply,
	const char *detail)
{
	char id[SESSION_ID_MAX];
	struct log_line line;
	tally_add(&session_counts_backend(session)->failures[cause], 1);
	log_begin(&line, LOG_LEVEL_WARNING, "attempt");
	log_text(&line, "id", session_id_format(session, id));
	log_text(&line, "pool", session->listener->pool->name);
	log_text(&line, "backend", session->relay->name);
	log_text(&line, "cause", cause_names[cause]);
	log_text(&line, "reply", reply);
	log_text(&line, "detail", detail);
	log_end(&line);
	end_attempt(session, attempt, outcome_of(attempt, cause), cause_names[cause]);
}

static void
fail_by_errno(struct session *session, struct attempt *attempt, int error)
{
	char text[128];
	fail(session, attempt, cause_of_errno(error), NULL,
		describe(error, session->listener->pool, text, sizeof(text)));
}

void
attempt_fail(struct session *session, enum cause cause, const char *reply, const char *detail)
{
	fail(session, gate_attempt(session), cause, reply, detail);
	gate_failed(session);
}

void
attempt_fail_by_errno(struct session *session, int error)
{
	fail_by_errno(session, gate_attempt(session), error);
	gate_failed(session);
}

static void
set_deadline(struct session *session, struct attempt *attempt, uint64_t timeout_ms)
{
	uint64_t left_ms = clock_ms_until(attempt->budget_ends_ms);
	/* The first attempt has all the time there is: what it does not get, nobody gets. */
	attempt->cut_short = left_ms < timeout_ms && session->attempts > 1;
	session_set_deadline(session, clock_min(timeout_ms, left_ms));
}

int
attempt_begin(struct session *session, struct attempt *attempt)
{
	const struct pool_conf *conf = session->listener->pool;
	session->relay = attempt->pick.backend;
	session->relay_port = attempt->pick.port ? attempt->pick.port : session->listener_port;
	if (session->attempts < SESSION_ATTEMPTS_MAX)
		session->attempts++;
	attempt->began_us = clock_us();
	if (!attempt->budget_ends_ms)
		attempt->budget_ends_ms = attempt->began_us / 1000 + conf->greeting_budget_ms;
	greeting_init(&attempt->greeting);
	attempt->upgrades = false;
	conn_init(&session->backend, worker_io(view_worker(session->view)), &attempt_events);
	session_set_phase(session, PHASE_CONNECT);
	set_deadline(session, attempt, conf->connect_timeout_ms);
	struct endpoint to = session_relay_endpoint(session);
	bool talks_first = conf->proxy != PROXY_OFF || conf->tls == TLS_IMPLICIT;
	if (conn_connect(&session->backend, &to, &conf->source_address, talks_first) == 0)
		return 0;
	fail_by_errno(session, attempt, errno);
	return -1;
}

void
attempt_timeout(struct session *session)
{
	attempt_fail(session,
		session->phase == PHASE_CONNECT ? CAUSE_CONNECT_TIMEOUT : CAUSE_GREETING_TIMEOUT,
		NULL, NULL);
}

void
attempt_abandon(struct session *session, struct attempt *attempt)
{
	if (session->relay)
		end_attempt(session, attempt, ATTEMPT_ABANDONED, NULL);
}

void
attempt_succeed(struct session *session, size_t behind)
{
	struct attempt *attempt = gate_attempt(session);
	struct chunk *held = attempt->held;
	struct backend_counts *counts = session_counts_backend(session);
	uint64_t connected_us = attempt->began_us + attempt->connect_us;
	uint64_t greeting_us = clock_us() - connected_us;
	tally_add(&counts->sessions, 1);
	durations_add(&counts->greeting, greeting_us);
	session->wait_us = (uint32_t)clock_min(connected_us - session->began_us, UINT32_MAX);
	session->connect_us = (uint32_t)clock_min(attempt->connect_us, UINT32_MAX);
	session->greeting_us = (uint32_t)clock_min(greeting_us, UINT32_MAX);
	pool_attempted(&attempt->pick, ATTEMPT_GREETED, NULL);
	gate_passed(session, held, behind);
}

/* Events of the backend's conn while it is the attempt's. */

static void
on_connected(struct conn *conn, int error)
{
	struct session *session = session_of_backend(conn);
	struct attempt *attempt = gate_attempt(session);
	if (error) {
		struct endpoint to = session_relay_endpoint(session);
		attempt_fail_by_errno(session, socket_connect_error(error, &to));
		return;
	}
	attempt->connect_us = clock_us() - attempt->began_us;
	durations_add(&session_counts_backend(session)->connect, attempt->connect_us);
	session_set_phase(session, PHASE_GREETING);
	if (send_header(session) < 0) {
		attempt_fail_by_errno(session, errno);
		return;
	}
	set_deadline(session, attempt, session->listener->pool->greeting_timeout_ms);
	if (session->listener->pool->tls == TLS_IMPLICIT && attempt_secure(session) < 0)
		return;
	conn_receive(conn);
}

static void
on_secured(struct conn *conn)
{
	struct session *session = session_of_backend(conn);
	struct attempt *attempt = gate_attempt(session);
	if (attempt->upgrades)
		attempt_succeed(session, 0);
}

/* Puts the chunk behind what is held; a greeting that drips in fills one chunk, not many. */
static void
hold(struct attempt *attempt, struct chunk *chunk)
{
	if (!attempt->held)
		attempt->held = chunk;
	else if (!chunk_join(attempt->held, chunk))
		attempt->held->next = chunk;
}

static void
on_received(struct conn *conn, struct chunk *chunk)
{
	struct session *session = session_of_backend(conn);
	struct attempt *attempt = gate_attempt(session);
	if (attempt->upgrades) {
		attempt_go_on_upgrading(session, chunk);
		return;
	}
	size_t len = chunk->len;
	ssize_t taken = greeting_feed(&attempt->greeting, chunk->data, len);
	hold(attempt, chunk);
	if (taken == 0)
		return;
	if (taken > 0)
		session_counts_reply(session, VERB_GREETING,
			&(struct reply_status){.code = (uint16_t)attempt->greeting.code});
	if (taken < 0 || attempt->greeting.code != 220)
		attempt_fail(session, CAUSE_GREETING_REPLY, attempt->greeting.line, NULL);
	else if (session->listener->pool->tls == TLS_STARTTLS)
		attempt_upgrade(session, len - (size_t)taken);
	else
		attempt_succeed(session, len - (size_t)taken);
}

static void
on_ended(struct conn *conn)
{
	struct session *session = session_of_backend(conn);
	if (conn->is_secure && !conn->cipher)
		attempt_fail(session, CAUSE_TLS, NULL, "closed within the handshake");
	else
		attempt_fail(session, CAUSE_CLOSED, gate_attempt(session)->greeting.line, NULL);
}

static void
on_failed(struct conn *conn, int error)
{
	struct session *session = session_of_backend(conn);
	enum cause cause = cause_of_errno(error);
	if (error == EPROTO && conn->is_secure) {
		const char *why = trust_why(tls_of(conn));
		attempt_fail(session, CAUSE_TLS, NULL, why ? why : tls_why(conn));
		return;
	}
	/* The connection stood: what ends it now is the silence of a dead host. */
	attempt_fail(session, cause == CAUSE_CONNECT_TIMEOUT ? CAUSE_GREETING_TIMEOUT : cause, NULL,
		NULL);
}

const struct conn_events attempt_events = {
	.connected = on_connected,
	.secured = on_secured,
	.received = on_received,
	.ended = on_ended,
	.failed = on_failed,
};

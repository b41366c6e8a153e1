/*
 * The life of a session but for what its phases do: beginning, screening, deadlines, refusal, the
 * log line at its end. Runs in its worker's thread.
 */
#include "lb/session.h"

#include "lb/attempt.h"
#include "lb/backend.h"
#include "lb/clock.h"
#include "lb/denials.h"
#include "lb/gate.h"
#include "lb/handshake.h"
#include "lb/leave.h"
#include "lb/linger.h"
#include "lb/log.h"
#include "lb/proxy_in.h"
#include "lb/pump.h"
#include "lb/session_counts.h"
#include "lb/session_log.h"
#include "lb/starttls.h"
#include "lb/view.h"
#include "lb/wire/reply.h"
#include "lb/worker.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void
session_set_phase(struct session *session, enum phase phase)
{
	session->phase = phase;
	session_log_phase(session);
}

struct endpoint
session_relay_endpoint(const struct session *session)
{
	return (struct endpoint){.addr = session->relay->address, .port = session->relay_port};
}

/* Deadlines: a later one only changes the number. What is set in the worker finds out when it has
 * passed, at the latest after the time that the session's first attempt had to connect. */

void
session_set_deadline(struct session *session, uint64_t after_ms)
{
	session_set_deadline_at(session, clock_ms() + after_ms);
}

void
session_set_deadline_at(struct session *session, uint64_t deadline_ms)
{
	struct deadlines *deadlines = worker_deadlines(view_worker(session->view));
	session->deadline_ms = deadline_ms;
	if (deadline_ms < deadlines_when(deadlines, &session->deadline))
		deadlines_set(deadlines, &session->deadline, deadline_ms);
}

void
session_pass_deadline(struct deadline *deadline)
{
	struct session *session =
		(struct session *)((char *)deadline - offsetof(struct session, deadline));
	/* It lasts. */
	if (!session_is_in_gate(session))
		conn_detect_death(&session->backend);
	if (clock_ms_until(session->deadline_ms) > 0)
		session_set_deadline_at(session, session->deadline_ms);
	else if (session->phase == PHASE_RECV_PROXY)
		proxy_in_timeout(session);
	else if (session->phase == PHASE_HANDSHAKE)
		handshake_timeout(session);
	else if (session_is_in_gate(session))
		gate_timeout(session);
	else
		pump_timeout(session);
}

/* Beginning. */

static void
client_left(struct conn *conn)
{
	struct session *session = session_of_client(conn);
	session_decide(session, RESULT_CLIENT_LOST, END_CLIENT);
	session_close(session);
}

static const struct conn_events waiting_client_events = {
	.left = client_left,
};

static void
deny(struct session *session, const struct verdict *verdict)
{
	session_counts_denied(session, DENIAL_ACL);
	denials_add(worker_denials(view_worker(session->view)), session, verdict);
	switch (session->listener->on_deny) {
	case ON_DENY_421:
		session_refuse(session, RESULT_DENIED, REPLY_DENIED_421);
		break;
	case ON_DENY_554:
		session_refuse(session, RESULT_DENIED, REPLY_DENIED_554);
		break;
	case ON_DENY_RESET:
		session_decide(session, RESULT_DENIED, END_BALANCER);
		conn_reset(&session->client);
		session_close(session);
		break;
	case ON_DENY_DROP:
		session_decide(session, RESULT_DENIED, END_BALANCER);
		conn_discard(&session->client);
		session_close(session);
		break;
	}
}

static void
give_room(struct session *session)
{
	if (session->has_room)
		worker_give_room(view_worker(session->view));
	session->has_room = false;
}

/* A session counts among the listener's and its client's sessions, and among all. */
static enum limit
admit(struct session *session)
{
	struct limits *limits = view_limits(session->view, session->listener);
	enum limit limit =
		limits_admit(limits, &session->source.addr, clock_ms(), &session->counted);
	if (limit != LIMIT_NONE)
		return limit;
	if (!session->has_room)
		session->has_room = worker_take_room(view_worker(session->view));
	session->admitted = session->has_room;
	if (session->admitted)
		return LIMIT_NONE;
	limits_withdraw(limits, session->counted);
	return LIMIT_MAX_SESSIONS;
}

void
session_pass(struct session *session)
{
	session->client.events = &waiting_client_events;
	gate_enter(session);
}

void
session_screen(struct session *session)
{
	struct verdict verdict = acl_decide(session->listener->acl, &session->source.addr);
	if (!verdict.allowed) {
		give_room(session);
		deny(session, &verdict);
		return;
	}
	enum limit limit = session->hurried ? LIMIT_RESOURCES : admit(session);
	if (limit != LIMIT_NONE) {
		give_room(session);
		session_limit(session, limit);
	} else if (session->listener->tls == TLS_IMPLICIT) {
		handshake_enter(session);
	} else {
		session_pass(session);
	}
}

/* A session that has not begun, NULL when it can't. */
static struct session *
session_new(struct worker *worker, struct view *view, const struct listener_conf *listener, int fd,
	const struct endpoint *source, const struct endpoint *destination)
{
	struct session *session = calloc(1, sizeof(*session));
	if (!session || deadlines_enter(worker_deadlines(worker)) < 0) {
		session_log_failed_begin(listener, source, errno);
		free(session);
		close(fd);
		return NULL;
	}
	session->view = view;
	session->listener = listener;
	session->source = *source;
	session->destination = *destination;
	session->listener_port = destination->port;
	session->began_us = clock_us();
	conn_init(&session->client, worker_io(worker), &waiting_client_events);
	conn_init(&session->backend, worker_io(worker), &attempt_events);
	conn_open(&session->client, fd);
	session->id = worker_add(worker, session);
	session_counts_enter(session);
	return session;
}

void
session_begin(struct worker *worker, struct view *view, const struct listener_conf *listener,
	int fd, const struct endpoint *source, const struct endpoint *destination)
{
	struct session *session = session_new(worker, view, listener, fd, source, destination);
	if (!session)
		return;
	if (proxy_in_is_due(session))
		proxy_in_enter(session);
	else
		session_screen(session);
}

void
session_turn_away(struct worker *worker, struct view *view, const struct listener_conf *listener,
	int fd, const struct endpoint *source, const struct endpoint *destination)
{
	struct session *session = session_new(worker, view, listener, fd, source, destination);
	if (!session)
		return;
	session->hurried = true;
	if (proxy_in_is_due(session))
		session_limit(session, LIMIT_RESOURCES);
	else
		session_screen(session);
}

void
session_look_again(struct session *session)
{
	if (session->phase == PHASE_QUEUE || session->phase == PHASE_PAUSE)
		gate_look_again(session);
}

/* Ending. */

void
session_decide(struct session *session, enum session_result result, enum session_end end)
{
	bool stands = session->decided &&
		      !(session->result == RESULT_OK && result == RESULT_BACKEND_LOST);
	if (stands)
		return;
	session->decided = true;
	session->result = result;
	session->end = end;
}

void
session_refuse(struct session *session, enum session_result result, enum reply reply)
{
	char id[SESSION_ID_MAX];
	char text[REPLY_MAX + 1];
	session_decide(session, result, END_BALANCER);
	if (session_is_in_gate(session))
		gate_abandon(session);
	if (session->listener->tls == TLS_IMPLICIT && !session->client.cipher) {
		conn_discard(&session->client);
		session_close(session);
		return;
	}
	size_t len = reply_format(text, reply, worker_hostname(view_worker(session->view)),
		&session->source.addr, session_id_format(session, id));
	if (conn_send_whole(&session->client, text, len) < 0) {
		session_close(session);
		return;
	}
	/* A denied client counts as such, and its bytes do not. */
	if (result != RESULT_DENIED)
		session_counts_out(session, len);
	linger_start(session);
}

void
session_limit(struct session *session, enum limit limit)
{
	struct limits *limits = view_limits(session->view, session->listener);
	struct rate_conf rate = limits_rate(limits, limit);
	session_counts_denied(session, limit_denial(limit));
	denials_limit(worker_denials(view_worker(session->view)), session, limit, &rate);
	session_refuse(session, RESULT_LIMITED, limit_reply(limit));
}

void
session_close(struct session *session)
{
	assert(session->phase != PHASE_CLOSED);
	if (session_is_in_gate(session))
		gate_abandon(session);
	if (!session->greeted)
		proxy_in_abandon(session);
	give_room(session);
	if (session->admitted)
		limits_leave(view_limits(session->view, session->listener), session->counted);
	if (session->lingers)
		worker_give_linger(view_worker(session->view));
	/* A denied client has a line of its own already, and was counted with it. */
	if (session->result != RESULT_DENIED) {
		session_counts_end(session);
		session_log_end(session);
	}
	conn_close(&session->client);
	conn_close(&session->backend);
	if (session->relay)
		pool_release(session->relay);
	session->relay = NULL;
	if (session->greeted)
		tracker_fini(&session->tracker);
	starttls_end(session);
	deadlines_leave(worker_deadlines(view_worker(session->view)), &session->deadline);
	session_set_phase(session, PHASE_CLOSED);
	worker_remove(view_worker(session->view), session);
}

void
session_hurry(struct session *session)
{
	bool is_served = session->phase == PHASE_PUMP || session->phase == PHASE_FLUSH;
	if (is_served)
		leave_look_again(session);
	else if (worker_is_late(view_worker(session->view)))
		session_cut(session);
	else if (session->phase == PHASE_RECV_PROXY)
		proxy_in_hurry(session);
}

void
session_cut(struct session *session)
{
	if (!session->lingers)
		session_log_cut(session);
	session_decide(session, RESULT_DRAINED, END_BALANCER);
	session_close(session);
}

bool
session_awaits_final(const struct session *session)
{
	return session->greeted && conn_is_open(&session->backend) && !session->backend.ended &&
	       tracker_place(&session->tracker) == TRACKER_AFTER_DOT;
}

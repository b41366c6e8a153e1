/*
 * See leave.h.
 */
#include "lb/leave.h"

#include "lb/clock.h"
#include "lb/linger.h"
#include "lb/session.h"
#include "lb/session_log.h"
#include "lb/view.h"
#include "lb/worker.h"

enum {
	PAUSE_MS = 2000, /* of a client that is not about to send */
};

static bool
has_had_its_share(const struct session *session)
{
	const struct pool_conf *pool = session->listener->pool;
	if (pool->rebalance_messages &&
		tracker_messages(&session->tracker) >= pool->rebalance_messages)
		return true;
	return pool->rebalance_age_ms &&
	       clock_ms_until(session->began_us / 1000 + pool->rebalance_age_ms) == 0;
}

static bool
is_wanted_gone(const struct session *session)
{
	return worker_is_stopping(view_worker(session->view)) || pool_is_draining(session->relay) ||
	       has_had_its_share(session);
}

bool
leave_is_overdue(const struct session *session)
{
	return worker_is_late(view_worker(session->view)) || pool_drain_is_over(session->relay);
}

static bool
pauses(const struct session *session)
{
	return clock_ms_until(session->touched_ms + PAUSE_MS) == 0;
}

/* Whether a reply of ours would be whole, in its place, and read. */
static bool
may_speak(const struct session *session)
{
	return session->phase == PHASE_PUMP &&
	       tracker_place(&session->tracker) == TRACKER_BETWEEN &&
	       conn_is_flushed(&session->client) && conn_is_flushed(&session->backend) &&
	       !session->client.ended && !session->backend.ended;
}

/* The relay's answer is not awaited: it costs nobody anything. */
static void
take_leave(struct session *session)
{
	static const char quit[] = "QUIT\r\n";
	conn_send_whole(&session->backend, quit, sizeof(quit) - 1);
}

static void
leave(struct session *session, enum session_result result, enum reply reply)
{
	take_leave(session);
	session_refuse(session, result, reply);
}

/* Without a word, but the client gets what the relay had said: the reply to a message may be the
 * last of it. */
static void
cut(struct session *session)
{
	session_log_cut(session);
	session_decide(session, RESULT_DRAINED, END_BALANCER);
	linger_start(session);
}

bool
leave_if_due(struct session *session)
{
	if (session->phase != PHASE_PUMP)
		return false;
	if (session->over_limit && may_speak(session)) {
		take_leave(session);
		session_limit(session, LIMIT_MESSAGES_PER_CLIENT);
		return true;
	}
	if (!is_wanted_gone(session))
		return false;
	bool overdue = leave_is_overdue(session);
	if (may_speak(session) && (session->rests || overdue || pauses(session))) {
		leave(session, RESULT_DRAINED, REPLY_CLOSING);
		return true;
	}
	bool is_offering =
		conn_is_offering(&session->client) || conn_is_offering(&session->backend);
	if (!overdue || session_awaits_final(session) || is_offering)
		return false;
	cut(session);
	return true;
}

uint64_t
leave_deadline(const struct session *session)
{
	const struct pool_conf *pool = session->listener->pool;
	uint64_t idle_ms = session->touched_ms + session->listener->idle_timeout_ms;
	if (session_awaits_final(session))
		return DEADLINE_NEVER;
	if (!may_speak(session))
		return idle_ms;
	if (is_wanted_gone(session))
		return clock_min(idle_ms, session->touched_ms + PAUSE_MS);
	if (pool->rebalance_age_ms)
		return clock_min(idle_ms, session->began_us / 1000 + pool->rebalance_age_ms);
	return idle_ms;
}

void
leave_idle(struct session *session)
{
	if (may_speak(session)) {
		leave(session, RESULT_IDLE, REPLY_IDLE);
		return;
	}
	session_decide(session, RESULT_IDLE, END_BALANCER);
	session_close(session);
}

void
leave_look_again(struct session *session)
{
	bool is_served = session->phase == PHASE_PUMP ||
			 (session->phase == PHASE_FLUSH && session->relay && !session->lingers);
	if (!is_served || leave_if_due(session))
		return;
	uint64_t linger_ms = clock_ms() + LINGER_MS;
	if (session->phase == PHASE_PUMP)
		session_set_deadline_at(session, leave_deadline(session));
	else if (leave_is_overdue(session) && !session_awaits_final(session))
		session_set_deadline_at(session, clock_min(session->deadline_ms, linger_ms));
}

/*
 * The pump: the events of both conns once the gate is open. The two sides are treated alike: each
 * event on one of them acts on the other.
 */
#include "lb/pump.h"

#include "lb/clock.h"
#include "lb/leave.h"
#include "lb/linger.h"
#include "lb/offer.h"
#include "lb/session.h"
#include "lb/session_counts.h"
#include "lb/starttls.h"
#include "lb/view.h"

#include <errno.h>

/* After progress, the deadline for the next. */
static void
touch(struct session *session)
{
	session->touched_ms = clock_ms();
	session_set_deadline_at(session, leave_deadline(session));
}

/* The tracker's: a reply of the relay's is whole. */
static void
on_reply(void *context, enum verb verb, const struct reply_status *status)
{
	struct session *session = context;
	session->rests = verb == VERB_DOT || verb == VERB_BDAT_LAST;
	starttls_note(session, verb, status);
	session_counts_reply(session, verb, status);
}

/* Both sides have ended; or one has after the client's QUIT, when nothing can follow. */
static bool
is_over(const struct session *session)
{
	bool client = session->client.ended, backend = session->backend.ended;
	return (client && backend) || ((client || backend) && tracker_is_over(&session->tracker));
}

/* Closes once it is over and both sides have got everything. True when it has. */
static bool
close_if_done(struct session *session)
{
	bool is_done = is_over(session) && conn_is_flushed(&session->client) &&
		       conn_is_flushed(&session->backend);
	if (is_done)
		session_close(session);
	return is_done;
}

/* Once a side is lost the other has as long as ever to answer a final dot and, unless its time is
 * over anyway, to take what is queued for it; and then a moment to leave. Nothing else that it
 * still says prolongs that. */
static void
set_flush_deadline(struct session *session, const struct conn *other)
{
	bool is_behind = !conn_is_flushed(other) && !leave_is_overdue(session);
	if (session_awaits_final(session) || is_behind)
		touch(session);
	else
		session_set_deadline(session, LINGER_MS);
}

/* One side is lost, and has ended thereby. The other gets what was received before. error: an
 * errno, 0 for none. */
static void
lose_side(struct session *session, struct conn *lost, int error)
{
	bool is_client = lost == &session->client;
	struct conn *other = is_client ? &session->backend : &session->client;
	if (error == ENOMEM)
		session_decide(session, RESULT_ERROR, END_BALANCER);
	session_decide(session, is_client ? RESULT_CLIENT_LOST : RESULT_BACKEND_LOST,
		is_client ? END_CLIENT : END_BACKEND);
	conn_close(lost);
	conn_shutdown(other);
	session_set_phase(session, PHASE_FLUSH);
	set_flush_deadline(session, other);
	if (!other->ended)
		conn_receive(other);
	close_if_done(session);
}

/* Sending to a side has failed since it ended: nothing else tells of its loss. */
static bool
is_lost(const struct conn *side)
{
	return side->broken && side->ended;
}

static void
pass_on(struct session *session, struct conn *from, struct conn *to, struct chunk *chunk)
{
	bool sent = conn_send(to, chunk);
	if (session->phase == PHASE_FLUSH)
		return;
	touch(session);
	if (is_lost(to))
		lose_side(session, to, 0);
	else if (!sent)
		conn_pause(from);
}

static void
pass_all(struct session *session, struct conn *from, struct conn *to, struct chunk *list)
{
	while (list) {
		struct chunk *next = list->next;
		if (session->phase == PHASE_CLOSED)
			chunk_put(list);
		else
			pass_on(session, from, to, list);
		list = next;
	}
}

/* A FIN. From a side that takes no more either it is the end of a lost connection. */
static void
end_side(struct session *session, struct conn *ended)
{
	bool is_client = ended == &session->client;
	if (ended->broken) {
		lose_side(session, ended, 0);
		return;
	}
	session_decide(session, RESULT_OK, is_client ? END_CLIENT : END_BACKEND);
	if (close_if_done(session))
		return;
	conn_shutdown(is_client ? &session->backend : &session->client);
	if (session->phase == PHASE_PUMP)
		touch(session);
	leave_if_due(session);
}

/* Nothing waits for `to` any more: `from` may send again, or the end goes on. */
static void
resume(struct session *session, struct conn *from, struct conn *to)
{
	if (is_lost(to)) {
		lose_side(session, to, 0);
		return;
	}
	if (session->phase == PHASE_FLUSH)
		set_flush_deadline(session, to);
	else
		touch(session);
	if (leave_if_due(session))
		return;
	bool waits = from == &session->client && (session->over_limit || starttls_waits(session));
	if (!from->ended && !waits)
		conn_receive(from);
	close_if_done(session);
}

/* One MAIL more, of which none has passed yet. */
static bool
may_send_message(struct session *session)
{
	struct limits *limits = view_limits(session->view, session->listener);
	return limits_take_message(limits, &session->source.addr, clock_ms()) == LIMIT_NONE;
}

/* Returns how much of the chunk may pass: less than all before a command that is answered here, and
 * before a MAIL of who is over his limit, which is refused once what came before it is answered. */
static size_t
read_client(struct session *session, const struct chunk *chunk)
{
	struct tracker *tracker = &session->tracker;
	size_t word_len;
	const uint8_t *word = starttls_word(session, &word_len);
	if (word_len > 0)
		tracker_read_client(tracker, word, word_len);
	size_t len = tracker_read_client(tracker, chunk->data, chunk->len);
	while (len < chunk->len && !starttls_answers(session, chunk, len) &&
		may_send_message(session)) {
		tracker_pass_mail(tracker);
		len += tracker_read_client(tracker, chunk->data + len, chunk->len - len);
	}
	return len;
}

/* What may pass of the chunk, of which the tracker has read so much. */
static struct chunk *
cut_chunk(struct session *session, struct chunk *chunk, size_t len)
{
	if (session->starttls)
		return starttls_keep_back(session, chunk, len);
	chunk->len = len;
	chunk->next = NULL;
	if (len > 0)
		return chunk;
	chunk_put(chunk);
	return NULL;
}

static void
feed_client(struct session *session, struct chunk *chunk)
{
	size_t len = read_client(session, chunk);
	bool stopped = len < chunk->len;
	session->over_limit = stopped && !starttls_answers(session, chunk, len);
	if (starttls_is_evaded(session)) {
		chunk_put(chunk);
		session_decide(session, RESULT_ERROR, END_BALANCER);
		session_close(session);
		return;
	}
	struct chunk *passing = cut_chunk(session, chunk, len);
	if (session->phase == PHASE_CLOSED)
		return;
	if (session->starttls && session->over_limit)
		starttls_drop(session);
	if (stopped)
		conn_pause(&session->client);
	pass_all(session, &session->client, &session->backend, passing);
	if (session->over_limit)
		leave_if_due(session);
}

/* Answers what is answered here, as far as it is due, and goes on with what came behind. */
static void
answer_client(struct session *session)
{
	bool waited = starttls_waits(session);
	struct chunk *behind;
	while ((behind = starttls_answer(session)) != NULL)
		feed_client(session, behind);
	bool receives = session->phase == PHASE_PUMP && !starttls_waits(session) &&
			!session->over_limit && !session->client.ended &&
			conn_is_flushed(&session->backend);
	if (waited && receives)
		conn_receive(&session->client);
}

static void
client_received(struct conn *conn, struct chunk *chunk)
{
	struct session *session = session_of_client(conn);
	session_counts_in(session, chunk->len);
	session->rests = false;
	if (session->phase == PHASE_FLUSH) { /* the relay is lost */
		chunk_put(chunk);
		return;
	}
	if (!starttls_take_line(session, chunk))
		feed_client(session, chunk);
	answer_client(session);
}

static void
client_ended(struct conn *conn)
{
	struct session *session = session_of_client(conn);
	struct chunk *word = starttls_last_word(session);
	if (word)
		conn_send(&session->backend, word);
	end_side(session, conn);
}

static void
client_failed(struct conn *conn, int error)
{
	lose_side(session_of_client(conn), conn, error);
}

static void
client_sent(struct conn *conn)
{
	struct session *session = session_of_client(conn);
	resume(session, &session->backend, conn);
	answer_client(session);
}

static const struct conn_events pump_client_events = {
	.received = client_received,
	.ended = client_ended,
	.failed = client_failed,
	.sent = client_sent,
};

/* Returns what goes to the client, in a list. */
static struct chunk *
read_relay(struct session *session, struct chunk *chunk)
{
	if (session->starttls)
		return offer_read_relay(session, chunk, on_reply);
	tracker_read_relay(&session->tracker, chunk->data, chunk->len, on_reply, session);
	chunk->next = NULL;
	return chunk;
}

static void
backend_received(struct conn *conn, struct chunk *chunk)
{
	struct session *session = session_of_backend(conn);
	bool awaited_final = session_awaits_final(session);
	chunk = read_relay(session, chunk);
	if (session->phase == PHASE_CLOSED)
		return;
	for (const struct chunk *part = chunk; part; part = part->next)
		session_counts_out(session, part->len);
	pass_all(session, conn, &session->client, chunk);
	if (session->phase == PHASE_FLUSH && awaited_final)
		set_flush_deadline(session, conn);
	else if (session->phase == PHASE_PUMP && !leave_if_due(session))
		answer_client(session);
}

/* What was held back of the relay's last words. */
static void
pass_last_reply(struct session *session)
{
	struct chunk *reply = offer_last_reply(session);
	if (!reply)
		return;
	session_counts_out(session, reply->len);
	conn_send(&session->client, reply);
}

static void
backend_ended(struct conn *conn)
{
	struct session *session = session_of_backend(conn);
	pass_last_reply(session);
	end_side(session, conn);
	answer_client(session);
}

static void
backend_failed(struct conn *conn, int error)
{
	struct session *session = session_of_backend(conn);
	pass_last_reply(session);
	lose_side(session, conn, error);
}

static void
backend_sent(struct conn *conn)
{
	struct session *session = session_of_backend(conn);
	resume(session, &session->client, conn);
	answer_client(session);
}

static const struct conn_events pump_backend_events = {
	.received = backend_received,
	.ended = backend_ended,
	.failed = backend_failed,
	.sent = backend_sent,
};

/* What a relay says before it was asked. */
static void
read_behind_greeting(struct session *session, const struct chunk *last, size_t behind)
{
	tracker_read_relay(
		&session->tracker, last->data + last->len - behind, behind, on_reply, session);
}

void
pump_start(struct session *session, struct chunk *greeting, size_t behind)
{
	session->client.events = &pump_client_events;
	session->backend.events = &pump_backend_events;
	tracker_init(&session->tracker);
	tracker_hold(&session->tracker, HOLD_MAIL);
	session->greeted = true;
	if (starttls_begin(session) < 0) {
		chunk_put_all(greeting);
		session_limit(session, LIMIT_RESOURCES);
		return;
	}
	session_set_phase(session, PHASE_PUMP);
	touch(session);
	bool flushed = true;
	while (greeting) {
		struct chunk *next = greeting->next;
		if (!next)
			read_behind_greeting(session, greeting, behind);
		session_counts_out(session, greeting->len);
		flushed = conn_send(&session->client, greeting);
		greeting = next;
	}
	if (!flushed)
		conn_pause(&session->backend);
	conn_receive(&session->client);
}

void
pump_go_on(struct session *session)
{
	session->client.events = &pump_client_events;
	session_set_phase(session, PHASE_PUMP);
	touch(session);
	conn_receive(&session->client);
	conn_receive(&session->backend);
}

void
pump_timeout(struct session *session)
{
	if (session->phase != PHASE_PUMP) {
		session_close(session);
		return;
	}
	if (leave_if_due(session))
		return;
	uint64_t deadline_ms = leave_deadline(session);
	if (clock_ms_until(deadline_ms) > 0)
		session_set_deadline_at(session, deadline_ms);
	else
		leave_idle(session);
}

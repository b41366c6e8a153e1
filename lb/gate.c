/*
 * The gate: picks, connects, sends the PROXY header, awaits the 220, and on any failure begins
 * again with the next backend. Its own memory lives only as long as a session is in it.
 */
#include "lb/gate.h"

#include "lb/clock.h"
#include "lb/log.h"
#include "lb/pump.h"
#include "lb/session.h"
#include "lb/view.h"
#include "lb/wire/greeting.h"
#include "lb/wire/proxy.h"
#include "lb/worker.h"

#include <errno.h>
#include <stdlib.h>

struct gate {
	const struct pool_conf *conf;
	struct pool *pool;
	struct tried tried;  /* in this round */
	struct tried failed; /* in any round */
	struct pick pick;
	uint64_t queue_began_ms; /* 0 = not in the queue */
	uint64_t budget_ends_ms; /* 0 = no attempt yet */
	uint64_t attempt_began_ms;
	uint64_t connect_ms; /* of this attempt */
	bool cut_short;      /* this attempt's time, by the budget */
	bool had_last_chance;
	struct greeting greeting;
	struct chunk *held; /* the greeting's bytes so far, oldest first: two chunks at most */
};

/* Why an attempt failed. */
enum cause {
	CAUSE_REFUSED,
	CAUSE_UNREACHABLE,
	CAUSE_RESET,
	CAUSE_CLOSED,
	CAUSE_CONNECT_TIMEOUT,
	CAUSE_GREETING_TIMEOUT,
	CAUSE_GREETING_REPLY,
	CAUSE_RESOURCES,
};

static const char *const cause_names[] = {
	[CAUSE_REFUSED] = "refused",
	[CAUSE_UNREACHABLE] = "unreachable",
	[CAUSE_RESET] = "reset",
	[CAUSE_CLOSED] = "closed",
	[CAUSE_CONNECT_TIMEOUT] = "connect_timeout",
	[CAUSE_GREETING_TIMEOUT] = "greeting_timeout",
	[CAUSE_GREETING_REPLY] = "greeting_reply",
	[CAUSE_RESOURCES] = "resources",
};

static void look_for_backend(struct session *session);

static uint64_t
min_ms(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static uint64_t
ms_until(uint64_t moment_ms)
{
	uint64_t now = clock_ms();
	return moment_ms > now ? moment_ms - now : 0;
}

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
	case EAGAIN: /* connect(2): no ephemeral port left */
	case EADDRNOTAVAIL:
		return CAUSE_RESOURCES;
	default:
		return CAUSE_UNREACHABLE;
	}
}

static void
drop_held(struct gate *gate)
{
	while (gate->held) {
		struct chunk *chunk = gate->held;
		gate->held = chunk->next;
		chunk_put(chunk);
	}
}

static int
send_header(struct session *session)
{
	uint8_t header[PROXY_HEADER_MAX];
	size_t len = proxy_encode(
		header, session->gate->conf->proxy, &session->source, &session->destination);
	return len == 0 ? 0 : conn_send_whole(&session->backend, header, len);
}

/* Gives back the backend of an attempt, and its conn. One that stands without our knowing yet gets
 * its header all the same: Postfix logs one without as `haproxy read: lost connection`. */
static void
end_attempt(struct session *session, enum attempt_outcome outcome, const char *why)
{
	struct gate *gate = session->gate;
	drop_held(gate);
	if (session->phase == PHASE_CONNECT && conn_is_open(&session->backend))
		send_header(session);
	conn_close(&session->backend);
	pool_attempted(&gate->pick, outcome, why);
	pool_release(session->relay);
	session->relay = NULL;
}

/* Logs a failed attempt and gives its backend back. */
static void
fail_attempt(struct session *session, enum cause cause, const char *reply)
{
	struct gate *gate = session->gate;
	char id[SESSION_ID_MAX];
	struct log_line line;
	log_begin(&line, LOG_LEVEL_WARNING, "attempt");
	log_text(&line, "id", session_id_format(session, id));
	log_text(&line, "pool", gate->conf->name);
	log_text(&line, "backend", session->relay->name);
	log_text(&line, "cause", cause_names[cause]);
	log_text(&line, "reply", reply);
	log_end(&line);
	bool timed_out = cause == CAUSE_CONNECT_TIMEOUT || cause == CAUSE_GREETING_TIMEOUT;
	enum attempt_outcome outcome = ATTEMPT_FAILED;
	if (cause == CAUSE_RESOURCES || (timed_out && gate->cut_short))
		outcome = ATTEMPT_ABANDONED;
	else if (tried_has(&gate->failed, gate->pick.slot))
		outcome = ATTEMPT_REPEATED;
	tried_add(&gate->failed, gate->pick.slot);
	end_attempt(session, outcome, cause_names[cause]);
}

static void
try_next(struct session *session, enum cause cause, const char *reply)
{
	fail_attempt(session, cause, reply);
	look_for_backend(session);
}

static void
begin_budget(struct gate *gate)
{
	if (!gate->budget_ends_ms)
		gate->budget_ends_ms = clock_ms() + gate->conf->greeting_budget_ms;
}

static void
set_attempt_deadline(struct session *session, uint64_t timeout_ms)
{
	struct gate *gate = session->gate;
	uint64_t left_ms = ms_until(gate->budget_ends_ms);
	/* The first attempt has all the time there is: what it does not get, nobody gets. */
	gate->cut_short = left_ms < timeout_ms && session->attempts > 1;
	session_set_deadline(session, min_ms(timeout_ms, left_ms));
}

/* Begins an attempt with the picked backend. Returns 0, or -1 when it has failed already. */
static int
begin_attempt(struct session *session)
{
	struct gate *gate = session->gate;
	session->relay = gate->pick.backend;
	session->relay_endpoint = gate->pick.endpoint;
	if (session->relay_endpoint.port == 0)
		session->relay_endpoint.port = session->listener_port;
	session->attempts++;
	gate->attempt_began_ms = clock_ms();
	greeting_init(&gate->greeting);
	conn_init(&session->backend, worker_io(session->worker), &gate_backend_events);
	session_set_phase(session, PHASE_CONNECT);
	set_attempt_deadline(session, gate->conf->connect_timeout_ms);
	if (conn_connect(&session->backend, &session->relay_endpoint) == 0)
		return 0;
	fail_attempt(session, cause_of_errno(errno), NULL);
	return -1;
}

static void
leave_queue(struct session *session)
{
	struct gate *gate = session->gate;
	if (!gate->queue_began_ms)
		return;
	session->queue_ms += (unsigned)(clock_ms() - gate->queue_began_ms);
	gate->queue_began_ms = 0;
}

/* No backend is up: waits for one, or for the moment of a trial. */
static void
wait_in_queue(struct session *session, uint64_t again_ms)
{
	struct gate *gate = session->gate;
	if (!gate->queue_began_ms)
		gate->queue_began_ms = clock_ms();
	uint64_t wait_ms = ms_until(gate->queue_began_ms + gate->conf->queue_timeout_ms);
	if (gate->budget_ends_ms)
		wait_ms = min_ms(wait_ms, ms_until(gate->budget_ends_ms));
	if (wait_ms == 0 || gate->had_last_chance) {
		session_refuse(session, RESULT_NO_BACKEND, REPLY_NO_BACKEND);
		return;
	}
	if (again_ms)
		wait_ms = min_ms(wait_ms, ms_until(again_ms));
	session_set_phase(session, PHASE_QUEUE);
	session_set_deadline(session, wait_ms);
}

/* A session that has waited in vain may try a backend whose next trial is not due yet, once: there
 * is nothing to lose. Returns 0 when that is under way. */
static int
take_last_chance(struct session *session)
{
	struct gate *gate = session->gate;
	bool waited = gate->queue_began_ms &&
		      ms_until(gate->queue_began_ms + gate->conf->queue_timeout_ms) == 0;
	if (!waited || gate->had_last_chance)
		return -1;
	gate->had_last_chance = true;
	if (!pool_pick_early_trial(gate->pool, &gate->tried, &gate->pick))
		return -1;
	leave_queue(session);
	begin_budget(gate);
	return begin_attempt(session);
}

/* Every backend that is up was tried: another round after a pause, while the budget lasts. */
static void
wait_for_next_round(struct session *session)
{
	struct gate *gate = session->gate;
	uint64_t pause_ms = gate->conf->greeting_retry_ms;
	if (pause_ms == 0 || pause_ms >= ms_until(gate->budget_ends_ms)) {
		session_refuse(session, RESULT_NO_BACKEND, REPLY_NO_BACKEND);
		return;
	}
	session_set_phase(session, PHASE_PAUSE);
	session_set_deadline(session, pause_ms);
}

/* Attempts until one is under way, or waits, or gives up. */
static void
look_for_backend(struct session *session)
{
	struct gate *gate = session->gate;
	for (;;) {
		if (conn_has_left(&session->client)) {
			session_decide(session, RESULT_CLIENT_LOST, END_CLIENT);
			session_close(session);
			return;
		}
		if (gate->budget_ends_ms && ms_until(gate->budget_ends_ms) == 0) {
			session_refuse(session, RESULT_NO_BACKEND, REPLY_NO_BACKEND);
			return;
		}
		uint64_t again_ms;
		switch (pool_pick(
			gate->pool, &gate->tried, session->attempts == 0, &gate->pick, &again_ms)) {
		case PICK_DONE:
			leave_queue(session);
			begin_budget(gate);
			if (begin_attempt(session) == 0)
				return;
			continue;
		case PICK_ALL_TRIED:
			wait_for_next_round(session);
			return;
		case PICK_NONE_UP:
			if (!tried_is_empty(&gate->tried)) {
				gate->tried = (struct tried){0};
				continue;
			}
			if (take_last_chance(session) == 0)
				return;
			wait_in_queue(session, again_ms);
			return;
		}
	}
}

void
gate_enter(struct session *session)
{
	struct gate *gate = calloc(1, sizeof(*gate));
	if (!gate) {
		session_refuse(session, RESULT_LIMITED, REPLY_FULL);
		return;
	}
	gate->conf = session->listener->pool;
	gate->pool = view_pool(session->view, gate->conf);
	session->gate = gate;
	conn_await_leave(&session->client);
	look_for_backend(session);
}

void
gate_look_again(struct session *session)
{
	session->gate->tried = (struct tried){0};
	look_for_backend(session);
}

void
gate_timeout(struct session *session)
{
	switch (session->phase) {
	case PHASE_QUEUE:
	case PHASE_PAUSE:
		gate_look_again(session);
		break;
	case PHASE_CONNECT:
		try_next(session, CAUSE_CONNECT_TIMEOUT, NULL);
		break;
	case PHASE_GREETING:
		try_next(session, CAUSE_GREETING_TIMEOUT, NULL);
		break;
	case PHASE_SCREEN:
	case PHASE_RECV_PROXY:
	case PHASE_PUMP:
	case PHASE_FLUSH:
	case PHASE_CLOSED:
		break;
	}
}

void
gate_abandon(struct session *session)
{
	if (session->relay)
		end_attempt(session, ATTEMPT_ABANDONED, NULL);
	leave_queue(session);
	free(session->gate);
	session->gate = NULL;
}

/* The backend has greeted: what it said goes to the client, and the two are connected. */
static void
open_gate(struct session *session)
{
	struct gate *gate = session->gate;
	struct chunk *held = gate->held;
	session->connect_ms = gate->connect_ms;
	session->greeting_ms = clock_ms() - gate->attempt_began_ms - gate->connect_ms;
	pool_attempted(&gate->pick, ATTEMPT_GREETED, NULL);
	free(gate);
	session->gate = NULL;
	pump_start(session, held);
}

/* Events of the backend's conn while it is the gate's. */

static void
on_connected(struct conn *conn, int error)
{
	struct session *session = session_of_backend(conn);
	struct gate *gate = session->gate;
	if (error) {
		try_next(session, cause_of_errno(error), NULL);
		return;
	}
	gate->connect_ms = clock_ms() - gate->attempt_began_ms;
	session_set_phase(session, PHASE_GREETING);
	if (send_header(session) < 0) {
		try_next(session, cause_of_errno(errno), NULL);
		return;
	}
	set_attempt_deadline(session, gate->conf->greeting_timeout_ms);
	conn_receive(conn);
}

/* Puts the chunk behind what is held; a greeting that drips in fills one chunk, not many. */
static void
hold(struct gate *gate, struct chunk *chunk)
{
	if (!gate->held)
		gate->held = chunk;
	else if (!chunk_join(gate->held, chunk))
		gate->held->next = chunk;
}

static void
on_received(struct conn *conn, struct chunk *chunk)
{
	struct session *session = session_of_backend(conn);
	struct gate *gate = session->gate;
	ssize_t taken = greeting_feed(&gate->greeting, chunk->data, chunk->len);
	hold(gate, chunk);
	if (taken == 0)
		return;
	if (taken > 0 && gate->greeting.code == 220)
		open_gate(session);
	else
		try_next(session, CAUSE_GREETING_REPLY, gate->greeting.line);
}

static void
on_ended(struct conn *conn)
{
	struct session *session = session_of_backend(conn);
	try_next(session, CAUSE_CLOSED, session->gate->greeting.line);
}

static void
on_failed(struct conn *conn, int error)
{
	enum cause cause = cause_of_errno(error);
	/* The connection stood: what ends it now is the silence of a dead host. */
	try_next(session_of_backend(conn),
		cause == CAUSE_CONNECT_TIMEOUT ? CAUSE_GREETING_TIMEOUT : cause, NULL);
}

const struct conn_events gate_backend_events = {
	.connected = on_connected,
	.received = on_received,
	.ended = on_ended,
	.failed = on_failed,
};

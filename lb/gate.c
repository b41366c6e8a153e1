/*
 * The gate: picks, waits, gives up; an attempt does the rest (attempt.h). Its own memory lives only
 * as long as a session is in it.
 */
#include "lb/gate.h"

#include "lb/attempt.h"
#include "lb/clock.h"
#include "lb/pump.h"
#include "lb/session.h"
#include "lb/view.h"
#include "lb/wire/reply.h"

#include <stdlib.h>

struct gate {
	const struct pool_conf *conf;
	struct pool *pool;
	struct claim claim;
	struct attempt attempt;
	uint64_t queue_began_ms; /* 0 = not in the queue */
	uint64_t next_round_ms;  /* when what was tried may be tried again; 0 = nothing was */
	bool had_last_chance;
};

static void
leave_queue(struct session *session)
{
	struct gate *gate = session->gate;
	if (!gate->queue_began_ms)
		return;
	session->queue_ms += (unsigned)(clock_ms() - gate->queue_began_ms);
	gate->queue_began_ms = 0;
}

static void
wait_in(struct session *session, enum phase phase, uint64_t wait_ms)
{
	if (session->phase != phase)
		session_set_phase(session, phase);
	session_set_deadline(session, wait_ms);
}

/* A session that has waited in vain may try a backend whose next trial is not due yet, once: there
 * is nothing to lose. Returns 0 when that is under way. */
static int
take_last_chance(struct session *session)
{
	struct gate *gate = session->gate;
	bool waited = gate->queue_began_ms &&
		      clock_ms_until(gate->queue_began_ms + gate->conf->queue_timeout_ms) == 0;
	if (!waited)
		return -1;
	gate->had_last_chance = true;
	if (!pool_pick_early_trial(gate->pool, &gate->claim, &gate->attempt.pick))
		return -1;
	leave_queue(session);
	return attempt_begin(session, &gate->attempt);
}

/* None can take a session now: waits for one, for the moment of a trial, or for the next round of
 * those that it has tried. */
static void
wait_in_queue(struct session *session, uint64_t again_ms)
{
	struct gate *gate = session->gate;
	if (take_last_chance(session) == 0)
		return;
	if (!gate->queue_began_ms)
		gate->queue_began_ms = clock_ms();
	uint64_t wait_ms = clock_ms_until(gate->queue_began_ms + gate->conf->queue_timeout_ms);
	if (gate->attempt.budget_ends_ms)
		wait_ms = clock_min(wait_ms, clock_ms_until(gate->attempt.budget_ends_ms));
	if (wait_ms == 0 || gate->had_last_chance) {
		session_refuse(session, RESULT_NO_BACKEND, REPLY_NO_BACKEND);
		return;
	}
	if (again_ms)
		wait_ms = clock_min(wait_ms, clock_ms_until(again_ms));
	if (gate->next_round_ms)
		wait_ms = clock_min(wait_ms, clock_ms_until(gate->next_round_ms));
	wait_in(session, PHASE_QUEUE, wait_ms);
}

/* When the next round may begin, from the end of this one; none without greeting_retry. */
static void
end_round(struct gate *gate)
{
	if (!gate->next_round_ms && gate->conf->greeting_retry_ms)
		gate->next_round_ms = clock_ms() + gate->conf->greeting_retry_ms;
}

static void
begin_round(struct gate *gate)
{
	gate->next_round_ms = 0;
	claim_begin_round(&gate->claim);
}

/* Every backend that is up was tried: another round after a pause, while the budget lasts. One that
 * comes up meanwhile is tried at once. */
static void
wait_for_next_round(struct session *session)
{
	struct gate *gate = session->gate;
	end_round(gate);
	if (!gate->next_round_ms || gate->next_round_ms >= gate->attempt.budget_ends_ms) {
		session_refuse(session, RESULT_NO_BACKEND, REPLY_NO_BACKEND);
		return;
	}
	wait_in(session, PHASE_PAUSE, clock_ms_until(gate->next_round_ms));
}

/* Nobody is there to serve, or no time left. */
static bool
is_over(struct session *session)
{
	const struct gate *gate = session->gate;
	if (conn_has_left(&session->client)) {
		session_decide(session, RESULT_CLIENT_LOST, END_CLIENT);
		session_close(session);
		return true;
	}
	if (gate->attempt.budget_ends_ms && clock_ms_until(gate->attempt.budget_ends_ms) == 0) {
		session_refuse(session, RESULT_NO_BACKEND, REPLY_NO_BACKEND);
		return true;
	}
	return false;
}

/* Attempts until one is under way, or waits, or gives up. */
static void
look_for_backend(struct session *session)
{
	struct gate *gate = session->gate;
	while (!is_over(session)) {
		uint64_t again_ms;
		if (gate->next_round_ms && clock_ms_until(gate->next_round_ms) == 0)
			begin_round(gate);
		switch (pool_pick(gate->pool, &gate->claim, &gate->attempt.pick, &again_ms)) {
		case PICK_DONE:
			leave_queue(session);
			gate->next_round_ms = 0;
			if (attempt_begin(session, &gate->attempt) == 0)
				return;
			continue;
		case PICK_ALL_TRIED:
			leave_queue(session);
			wait_for_next_round(session);
			return;
		case PICK_NONE_UP:
			if (!tried_is_empty(&gate->claim.tried)) {
				begin_round(gate);
				continue;
			}
			wait_in_queue(session, again_ms);
			return;
		case PICK_NONE_FREE:
			if (!tried_is_empty(&gate->claim.tried))
				end_round(gate);
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
		session_refuse_full(session);
		return;
	}
	gate->conf = session->listener->pool;
	gate->pool = view_pool(session->view, gate->conf);
	claim_init(&gate->claim, &session->source.addr);
	session->gate = gate;
	conn_await_leave(&session->client);
	look_for_backend(session);
}

void
gate_look_again(struct session *session)
{
	if (pool_has_called(&session->gate->claim))
		look_for_backend(session);
}

void
gate_timeout(struct session *session)
{
	if (session->phase == PHASE_QUEUE || session->phase == PHASE_PAUSE)
		look_for_backend(session);
	else
		attempt_timeout(session);
}

void
gate_abandon(struct session *session)
{
	attempt_abandon(session, &session->gate->attempt);
	leave_queue(session);
	pool_leave(session->gate->pool, &session->gate->claim);
	free(session->gate);
	session->gate = NULL;
}

/* What an attempt tells. */

struct attempt *
gate_attempt(struct session *session)
{
	return &session->gate->attempt;
}

void
gate_failed(struct session *session)
{
	look_for_backend(session);
}

void
gate_passed(struct session *session, struct chunk *greeting)
{
	free(session->gate);
	session->gate = NULL;
	pump_start(session, greeting);
}

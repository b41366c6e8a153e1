/*
 * The gate: between a client that waits for a greeting and the backends that may give one. Tries
 * one backend after the other until one has greeted with a complete 220, unseen by the client, and
 * only then connects the two (pump.h). Nothing is consumed from the client meanwhile.
 *
 * Rules: each attempt has connect_timeout and greeting_timeout, all together greeting_budget; when
 * every backend that is up was tried, the next round begins after greeting_retry; with no backend
 * that is up and has room the session waits up to queue_timeout.
 */
#ifndef LB_GATE_H
#define LB_GATE_H

#include <stddef.h>

struct attempt;
struct chunk;
struct session;

/* Takes a screened session. */
void gate_enter(struct session *session);

/* Its deadline passed, in one of the gate's phases. */
void gate_timeout(struct session *session);

/* Whoever waits in the pool's line may have been called: in PHASE_QUEUE and PHASE_PAUSE. */
void gate_look_again(struct session *session);

/* Leaves the gate without passing it, the backend's conn closed and the backend given back. */
void gate_abandon(struct session *session);

/* For attempt.h. */

/* The attempt that is under way. */
struct attempt *gate_attempt(struct session *session);

/* It failed, and its backend is given back. */
void gate_failed(struct session *session);

/* The backend has greeted: what it said, which is taken, goes to the client. behind: how many bytes
 * of it, the last ones, came behind the greeting. */
void gate_passed(struct session *session, struct chunk *greeting, size_t behind);

#endif

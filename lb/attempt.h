/*
 * One try at a backend: connect, send the PROXY header, await a complete 220, and where the pool
 * wants it TLS, before the 220 or by STARTTLS behind it. The gate (gate.h) decides with whom, and
 * is told how it ended: gate_failed or gate_passed.
 *
 * Runs in the session's worker. A struct attempt is part of the session's gate; it serves one
 * attempt after the other.
 */
#ifndef LB_ATTEMPT_H
#define LB_ATTEMPT_H

#include "lb/io/chunk.h"
#include "lb/outcome.h"
#include "lb/pool.h"
#include "lb/wire/greeting.h"
#include "lb/wire/upgrade.h"

#include <stdbool.h>
#include <stdint.h>

struct conn_events;
struct session;

struct attempt {
	struct pick pick;        /* filled by the gate, before attempt_begin */
	uint64_t budget_ends_ms; /* of all the session's attempts; 0 = none yet. The gate's too. */
	/* Private from here on. */
	struct tried failed; /* by any attempt of the session */
	uint64_t began_us;
	uint64_t connect_us;
	bool cut_short; /* its time, by the budget */
	struct greeting greeting;
	bool upgrades; /* greeted, on the way into TLS */
	struct upgrade upgrade;
	struct chunk *held; /* the greeting's bytes so far, oldest first: two chunks at most */
};

/* What an attempt does on the backend's conn. */
extern const struct conn_events attempt_events;

/* Begins an attempt with the picked backend. Returns 0, or -1 when it has failed already: it is
 * logged, and the backend given back. */
int attempt_begin(struct session *session, struct attempt *attempt);

/* The session's deadline passed, in one of the attempt's phases. */
void attempt_timeout(struct session *session);

/* Ends the one that is under way, if any, which then says nothing about the backend. */
void attempt_abandon(struct session *session, struct attempt *attempt);

/* For attempt_tls.h: it has failed, or the relay has greeted as the pool wants it. reply and detail
 * may be NULL; behind: how many bytes came behind the greeting. */
void attempt_fail(struct session *session, enum cause cause, const char *reply, const char *detail);
void attempt_fail_by_errno(struct session *session, int error);
void attempt_succeed(struct session *session, size_t behind);

#endif

/*
 * What is counted of listeners and backends: each has a tally (tally.h) of one of these blocks. How
 * it is told is in lb/admin/metrics_page.c.
 *
 * A listener's tally belongs to its name, and goes from one runtime to the next (runtime.h); a
 * backend's to its name within its pool, whatever its address (backend.h).
 */
#ifndef LB_METRICS_H
#define LB_METRICS_H

#include "lb/outcome.h"
#include "lb/tracker.h"
#include "lb/wire/command.h"

#include <stdint.h>

/* Why a client was turned away: by the acl, or by a limit on sessions at a time, connections or
 * messages. */
enum denial {
	DENIAL_ACL,
	DENIAL_SESSIONS,
	DENIAL_CONNECTS,
	DENIAL_MESSAGES,
};

/* What came of a client's TLS handshake. */
enum handshake {
	HANDSHAKE_FULL,
	HANDSHAKE_RESUMED, /* of an earlier session */
	HANDSHAKE_FAILED,
};

/* Why it failed. */
enum handshake_failure {
	FAILURE_CLOSED, /* by the client, or reset */
	FAILURE_TIMEOUT,
	FAILURE_PROTOCOL,  /* what came is no TLS, or none that can be agreed on */
	FAILURE_RESOURCES, /* no memory */
};

enum direction {
	DIRECTION_IN, /* from clients */
	DIRECTION_OUT,
};

/* A reply's first digit. */
enum reply_class {
	REPLY_CLASS_2,
	REPLY_CLASS_3,
	REPLY_CLASS_4,
	REPLY_CLASS_5,
};

enum probe_outcome {
	PROBE_OUTCOME_OK,
	PROBE_OUTCOME_FAIL,
};

enum {
	DENIALS = DENIAL_MESSAGES + 1,
	HANDSHAKES = HANDSHAKE_FAILED + 1,
	FAILURES = FAILURE_RESOURCES + 1,
	DIRECTIONS = DIRECTION_OUT + 1,
	REPLY_CLASSES = REPLY_CLASS_5 + 1,
	PROBE_OUTCOMES = PROBE_OUTCOME_FAIL + 1,
	DURATION_BOUNDS = 15,
};

/* By the enums above. */
extern const char *const denial_names[DENIALS];
extern const char *const handshake_names[HANDSHAKES];
extern const char *const failure_names[FAILURES];
extern const char *const direction_names[DIRECTIONS];
extern const char *const reply_class_names[REPLY_CLASSES];
extern const char *const message_outcome_names[OUTCOMES];
extern const char *const probe_outcome_names[PROBE_OUTCOMES];

/* Durations by how long they were at most; the last are those past every bound. */
struct durations {
	uint64_t counts[DURATION_BOUNDS + 1];
	uint64_t sum_us;
};

extern const uint64_t duration_bounds_us[DURATION_BOUNDS];

struct listener_counts {
	uint64_t active;            /* sessions that have begun, not ended, and are not denied */
	uint64_t sessions[RESULTS]; /* that have ended, but for the denied */
	uint64_t denied[DENIALS];
	uint64_t handshakes[HANDSHAKES];
	uint64_t failures[FAILURES]; /* of handshakes */
	uint64_t bytes[DIRECTIONS];
	uint64_t messages[OUTCOMES];
	uint64_t
		opaque[OPAQUES]; /* sessions that have ended and could not be followed to the end */
};

struct backend_counts {
	uint64_t sessions; /* that it has greeted */
	uint64_t failures[CAUSES];
	uint64_t replies[VERBS][REPLY_CLASSES];
	uint64_t messages[OUTCOMES];
	uint64_t recipients[OUTCOMES];
	uint64_t probes[PROBE_OUTCOMES]; /* by the main thread */
	struct durations connect;        /* of connections that stood */
	struct durations greeting;       /* from there to the 220 */
};

void durations_add(struct durations *durations, uint64_t duration_us);

/* How long the quickest so many percent took at most, in microseconds, as histogram_quantile of
 * Prometheus has it: evenly spread between two bounds, and the last bound for all past it. counts:
 * as in struct durations. -1 when there are none. */
int64_t durations_quantile_us(const uint64_t counts[DURATION_BOUNDS + 1], unsigned percent);

/* What became of the message or recipient that a reply with this code is for, an enum outcome; -1
 * for a code that says nothing of that. */
int message_outcome_of(unsigned code);

/* A reply of the backend's; one that is none by its code is not counted. One to the last BDAT
 * counts as BDAT's, and one to nothing as to OTHER. */
void backend_counts_reply(struct backend_counts *counts, enum verb verb, unsigned code);

#endif

/*
 * What a session adds to the counts of its listener and its backend (metrics.h), by its worker's
 * thread.
 */
#ifndef LB_SESSION_COUNTS_H
#define LB_SESSION_COUNTS_H

#include "lb/metrics.h"
#include "lb/session.h"
#include "lb/tally.h"

/* It counts for its view's listener from here on, and no more for the one before. */
void session_counts_enter(struct session *session);
void session_counts_leave(struct session *session);

/* What came of the client's TLS. */
void session_counts_handshake(struct session *session, enum handshake outcome);
void session_counts_failed_handshake(struct session *session, enum handshake_failure why);

/* It was turned away. By the acl: then it counts no more. */
void session_counts_denied(struct session *session, enum denial why);

/* It has ended, with its result. */
void session_counts_end(struct session *session);

/* Bytes from the client, and for it. */
void session_counts_in(struct session *session, size_t len);
void session_counts_out(struct session *session, size_t len);

/* A reply of its backend's. */
void session_counts_reply(
	struct session *session, enum verb verb, const struct reply_status *status);

/* Those of the backend that it uses, or tries. */
struct backend_counts *session_counts_backend(const struct session *session);

#endif

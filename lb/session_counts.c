/*
 * See session_counts.h.
 */
#include "lb/session_counts.h"

#include "lb/view.h"
#include "lb/worker.h"

static struct listener_counts *
counts_of(const struct session *session)
{
	return view_counts(session->view, session->listener);
}

/* One session more, or less. */
static void
change_active(struct session *session, int change)
{
	tally_add(&counts_of(session)->active, (uint64_t)change);
}

void
session_counts_enter(struct session *session)
{
	change_active(session, 1);
}

void
session_counts_leave(struct session *session)
{
	change_active(session, -1);
}

void
session_counts_denied(struct session *session, enum denial why)
{
	tally_add(&counts_of(session)->denied[why], 1);
	if (why == DENIAL_ACL)
		change_active(session, -1);
}

void
session_counts_handshake(struct session *session, enum handshake outcome)
{
	tally_add(&counts_of(session)->handshakes[outcome], 1);
}

void
session_counts_failed_handshake(struct session *session, enum handshake_failure why)
{
	session_counts_handshake(session, HANDSHAKE_FAILED);
	tally_add(&counts_of(session)->failures[why], 1);
}

void
session_counts_end(struct session *session)
{
	tally_add(&counts_of(session)->sessions[session->result], 1);
	if (session->greeted && session->tracker.opaque != OPAQUE_NOT)
		tally_add(&counts_of(session)->opaque[session->tracker.opaque], 1);
	change_active(session, -1);
}

void
session_counts_in(struct session *session, size_t len)
{
	session->bytes_in += len;
	tally_add(&counts_of(session)->bytes[DIRECTION_IN], len);
}

void
session_counts_out(struct session *session, size_t len)
{
	session->bytes_out += len;
	tally_add(&counts_of(session)->bytes[DIRECTION_OUT], len);
}

void
session_counts_reply(struct session *session, enum verb verb, const struct reply_status *status)
{
	struct backend_counts *backend = session_counts_backend(session);
	int outcome = message_outcome_of(status->code);
	if (outcome == OUTCOME_DEFERRED)
		deferral_note(&session->relay->deferrals, verb, status);
	backend_counts_reply(backend, verb, status->code);
	if (outcome < 0)
		return;
	if (verb == VERB_RCPT)
		tally_add(&backend->recipients[outcome], 1);
	if (verb == VERB_DOT || verb == VERB_BDAT_LAST) {
		tally_add(&backend->messages[outcome], 1);
		tally_add(&counts_of(session)->messages[outcome], 1);
	}
}

struct backend_counts *
session_counts_backend(const struct session *session)
{
	return tally_block(session->relay->tally, worker_index(view_worker(session->view)));
}

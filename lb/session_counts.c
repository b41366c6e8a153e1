/*
 * See session_counts.h.
 */
#include "lb/session_counts.h"

#include "lb/view.h"
#include "lb/worker.h"

/* One session more, or less. */
static void
change_active(struct session *session, int change)
{
	tally_add(&session->counts->active, (uint64_t)change);
}

void
session_counts_enter(struct session *session)
{
	session->counts = view_counts(session->view, session->listener);
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
	tally_add(&session->counts->denied[why], 1);
	if (why == DENIAL_ACL)
		change_active(session, -1);
}

void
session_counts_end(struct session *session)
{
	tally_add(&session->counts->sessions[session->result], 1);
	if (session->tracker.opaque != OPAQUE_NOT)
		tally_add(&session->counts->opaque[session->tracker.opaque], 1);
	change_active(session, -1);
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
		tally_add(&session->counts->messages[outcome], 1);
	}
}

struct backend_counts *
session_counts_backend(const struct session *session)
{
	return tally_block(session->relay->tally, worker_index(session->worker));
}

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
	change_active(session, -1);
}

struct backend_counts *
session_counts_backend(const struct session *session)
{
	return tally_block(session->relay->tally, worker_index(session->worker));
}

/*
 * The PROXY header in front of a session: a source that the listener trusts (accept_proxy) must
 * first say on whose behalf it has connected. Until it has, there is no client: nothing is said, no
 * rule is asked, no backend is tried. From any other source such bytes are the client's data.
 *
 * The one who waits counts among max_sessions and has proxy_timeout. A header that is malformed,
 * cut short or late ends the session without a reply. What stands behind the header is the client's
 * and goes back to the conn unread.
 *
 * A source that announces itself is checking our health, and many a check only connects, which must
 * not cost a relay a connection: it has a moment to leave before it is taken for a client.
 */
#ifndef LB_PROXY_IN_H
#define LB_PROXY_IN_H

#include <stdbool.h>

struct session;

/* Whether the session's connection comes from a source that must announce its client. */
bool proxy_in_is_due(const struct session *session);

/* Takes a session that has just begun, and hands it on to session_screen with the client's source
 * and destination, under the configuration in force then. */
void proxy_in_enter(struct session *session);

/* Its deadline passed, in PHASE_RECV_PROXY. */
void proxy_in_timeout(struct session *session);

/* The worker stops: a header that is not here in a moment does not count any more. */
void proxy_in_hurry(struct session *session);

/* Frees what the session holds for it. */
void proxy_in_abandon(struct session *session);

#endif

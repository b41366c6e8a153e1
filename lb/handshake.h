/*
 * The client's TLS handshake on a listener with implicit TLS: behind the acl and the limits, before
 * the gate. Nobody hears a word before it, so that whoever is turned away there is just closed.
 *
 * It has HANDSHAKE_MS. One that fails, or is late, ends the session with a line in the log.
 */
#ifndef LB_HANDSHAKE_H
#define LB_HANDSHAKE_H

struct session;

enum {
	HANDSHAKE_MS = 10000,
};

/* Takes an admitted session, and hands it on to session_pass. */
void handshake_enter(struct session *session);

/* Its deadline passed, in PHASE_HANDSHAKE. */
void handshake_timeout(struct session *session);

#endif

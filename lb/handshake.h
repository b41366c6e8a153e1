/*
 * The client's TLS handshake. On a listener with implicit TLS it is behind the acl and the limits,
 * before the gate: nobody hears a word before it, so that whoever is turned away there is just
 * closed. Or it is in the middle of a session, behind STARTTLS (starttls.h).
 *
 * It has HANDSHAKE_MS. One that fails, or is late, ends the session with a line in the log.
 */
#ifndef LB_HANDSHAKE_H
#define LB_HANDSHAKE_H

#include <openssl/ssl.h>

struct session;

enum {
	HANDSHAKE_MS = 10000,
};

/* Takes an admitted session, and hands it on to session_pass. */
void handshake_enter(struct session *session);

/* Takes a session that is greeted, and hands it on to starttls_secured. ssl: of the listener's
 * certificates, taken. Returns 0, or -1 with errno. */
int handshake_begin(struct session *session, SSL *ssl);

/* Its deadline passed, in PHASE_HANDSHAKE. */
void handshake_timeout(struct session *session);

#endif

/*
 * TLS on a conn, between the engine's bytes and the owner's events: what comes in is decrypted
 * before it is told, what is sent is encrypted before it is queued. Pausing, the end behind the
 * last byte, and bounded memory hold as without it: what a paused conn has received stays
 * encrypted, in the chunk in which it came.
 *
 * The end of what comes is told at close_notify, and at a FIN without one alike: SMTP says itself
 * where a message is complete, and clients leave without.
 */
#ifndef LB_IO_TLS_H
#define LB_IO_TLS_H

#include "lb/io/conn.h"

#include <openssl/ssl.h>

/* From here on the open conn speaks TLS, as the side that ssl was set to, which it owns.
 * conn_receive goes on with the handshake, which a client begins here; `secured` follows, or
 * `failed` with EPROTO, after which tls_why tells more. What was given back by conn_unread is part
 * of the handshake. Returns 0, or -1 with errno, with ssl freed. */
int tls_start(struct conn *conn, SSL *ssl);

/* The conn's, for asking OpenSSL about it; NULL without TLS. */
SSL *tls_of(const struct conn *conn);

/* What went wrong: OpenSSL's words, static; NULL for none. */
const char *tls_why(const struct conn *conn);

/* For conn.c and the engines. */

void tls_take(struct conn *conn, struct chunk *chunk);
void tls_hold(struct conn *conn, struct chunk *chunk);
bool tls_has_held(const struct conn *conn);
void tls_go_on(struct conn *conn); /* with what is held */
bool tls_send(struct conn *conn, struct chunk *chunk);
int tls_send_bytes(struct conn *conn, const void *bytes, size_t len);
void tls_end_sending(struct conn *conn);
void tls_free(struct conn *conn);

#endif

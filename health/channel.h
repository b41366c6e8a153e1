/*
 * A non-blocking socket as a probe uses it, in the clear or, with an ssl of it, through TLS.
 * Nothing is kept here. The process must ignore SIGPIPE.
 */
#ifndef HEALTH_CHANNEL_H
#define HEALTH_CHANNEL_H

#include <openssl/ssl.h>
#include <stddef.h>
#include <sys/types.h>

/* Takes the TLS handshake as far as it goes. Returns 0 when TLS stands; EV_READ or EV_WRITE for
 * what it has to wait for; or -1 with errno, EPROTO when it is TLS that failed, and channel_why
 * tells. */
int channel_shake_hands(SSL *ssl);

/* As send(2) and recv(2), with EAGAIN for TLS that waits for something else of its own. ssl: NULL
 * without TLS. A FIN ends what is received, with or without a close_notify. */
ssize_t channel_send(int fd, SSL *ssl, const void *bytes, size_t len);
ssize_t channel_receive(int fd, SSL *ssl, void *bytes, size_t size);

/* More can be received at once, of which the socket knows nothing: half a record is not that. */
int channel_has_more(const SSL *ssl);

/* Why TLS has failed just now; a constant. */
const char *channel_why(const SSL *ssl);

#endif

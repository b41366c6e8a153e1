/*
 * TLS of the load generator's sessions, on a non-blocking socket. Whom it speaks to it does not
 * ask: only what that costs is of interest.
 */
#ifndef BENCH_LOAD_TLS_H
#define BENCH_LOAD_TLS_H

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* What all sessions share. */
struct load_tls {
	SSL_CTX *context; /* NULL: no TLS */
	bool starttls;    /* by STARTTLS, not from the first byte */
	bool resumes;     /* sessions begin with what an earlier one was given */
	SSL_SESSION *given;
};

/* Makes it ready; false when there is no memory. */
bool load_tls_init(struct load_tls *tls);
void load_tls_fini(struct load_tls *tls);

/* The client's side on a socket, NULL when there is no memory. */
SSL *load_tls_open(struct load_tls *tls, int fd);

/* Frees it. NULL is fine. */
void load_tls_close(SSL *ssl);

/* Each returns how many bytes, 0 at the end, or -1 with errno: EAGAIN with wants_write for what it
 * waits for. The handshake returns 1 when it is done. */
int load_tls_shake_hands(SSL *ssl, bool *wants_write);
ssize_t load_tls_send(SSL *ssl, const void *bytes, size_t len);
ssize_t load_tls_receive(SSL *ssl, void *bytes, size_t size);

#endif

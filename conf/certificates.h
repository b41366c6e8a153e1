/*
 * What a listener shows its TLS clients: certificates with their keys. The client's server name
 * (SNI) chooses, the first pair is for all others.
 *
 * Immutable once filled; any thread may open sessions from it.
 */
#ifndef CONF_CERTIFICATES_H
#define CONF_CERTIFICATES_H

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stddef.h>
#include <time.h>

struct certificates;

enum {
	CERTIFICATES_WHY_MAX = 512,
};

struct certificates *certificates_new(void);
void certificates_free(struct certificates *certificates); /* NULL is fine */

/* Adds a pair of PEM files, the certificate with its chain behind it. Returns 0, with the time at
 * which it expires, or -1 with the reason in why; is_key tells that it is the key's. */
int certificates_add(struct certificates *certificates, const char *certificate, const char *key,
	time_t *expires, char why[CERTIFICATES_WHY_MAX], bool *is_key);

/* When the first of them expires. */
time_t certificates_expire(const struct certificates *certificates);

/* How many whole days are left until then. */
int certificates_days_left(time_t expires);

/* The server's side of one connection; NULL for want of memory. Needs the certificates until the
 * handshake is done. */
SSL *certificates_open(const struct certificates *certificates);

#endif

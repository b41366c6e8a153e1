/*
 * Whom we trust as the server of a TLS connection that we make: the authorities that may vouch for
 * it, and the name or address that its certificate must be for (RFC 6125, RFC 5280). What a server
 * gave us to resume a session by is kept for each server, and used by whoever connects next.
 *
 * Any thread may open connections. Each needs the trust as long as it lives.
 */
#ifndef CONF_TRUST_H
#define CONF_TRUST_H

#include "acl/addr.h"

#include <openssl/ssl.h>
#include <stdbool.h>

struct trust;

/* verifies: without, anybody is trusted. authorities: a PEM file of them, "" for the system's. NULL
 * when it can't be, with the reason, a constant, in why. */
struct trust *trust_new(bool verifies, const char *authorities, const char **why);
void trust_free(struct trust *trust); /* NULL is fine */

/* The client's side of one connection to the server. name: which it must have, and is asked for by
 * (SNI); "" = it must have its address, and is not asked. NULL for want of memory. */
SSL *trust_open(struct trust *trust, const char *name, const struct endpoint *server);

/* Why its certificate was not accepted, a constant; NULL when that is not what went wrong. */
const char *trust_why(const SSL *ssl);

#endif

/*
 * The PROXY protocol header that we send to a backend. Pure encoding: no I/O, no state, no memory.
 *
 * Source of every rule: "The PROXY protocol, versions 1 & 2", haproxy doc/proxy-protocol.txt,
 * sections 2.1 and 2.2. Postfix reads the header with one recv of at most 536 bytes and refuses v1
 * UNKNOWN, so neither longer headers nor UNKNOWN are ever produced.
 */
#ifndef LB_WIRE_PROXY_H
#define LB_WIRE_PROXY_H

#include "acl/addr.h"
#include "conf/snapshot.h"

#include <stddef.h>
#include <stdint.h>

enum {
	PROXY_HEADER_MAX = 536,
	PROXY_V2_SIGNATURE_LEN = 12,
};

/* How a version 2 header begins. */
extern const uint8_t proxy_v2_signature[PROXY_V2_SIGNATURE_LEN];

/* Writes the header for a connection from source to destination and returns its length: 0 for
 * PROXY_OFF. Both have the same family (they come from one socket, or from one header), which makes
 * it TCP4 or TCP6; a folded address can't get into a TCP6 header. */
size_t proxy_encode(uint8_t buf[PROXY_HEADER_MAX], enum proxy_version version,
	const struct endpoint *source, const struct endpoint *destination);

/* The same for a connection that carries nobody's session but is our own, as a probe's: LOCAL in
 * version 2; version 1, which has no such thing, names the connection's own two ends. */
size_t proxy_encode_own(uint8_t buf[PROXY_HEADER_MAX], enum proxy_version version,
	const struct endpoint *own, const struct endpoint *remote);

#endif

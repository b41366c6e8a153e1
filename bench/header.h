/*
 * Reads the PROXY protocol header in front of what a balancer sends to the sink. Pure parsing, no
 * state: the whole beginning of the connection is passed in each time.
 *
 * Stricter than a relay: an IPv4-mapped address inside a TCP6 header, a TLV past the end and a
 * header above 536 bytes are errors, as the balancer must never send one.
 *
 * Source of every rule: "The PROXY protocol, versions 1 & 2", haproxy doc/proxy-protocol.txt.
 */
#ifndef BENCH_HEADER_H
#define BENCH_HEADER_H

#include "acl/addr.h"

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum header_kind {
	HEADER_OFF,
	HEADER_V1,
	HEADER_V2,
	HEADER_ANY, /* one of the two must come, the first byte says which */
};

enum {
	HEADER_MAX = 536, /* what Postfix takes at most */
};

/* Returns the header's length, 0 when more is needed, -1 when this is not the header wanted.
 * source is set to the announced client, and left alone by LOCAL, UNKNOWN and UNSPEC. */
ssize_t header_parse(
	enum header_kind kind, const uint8_t *bytes, size_t len, struct endpoint *source);

#endif

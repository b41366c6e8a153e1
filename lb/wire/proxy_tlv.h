/*
 * What a version 2 PROXY header says about a client beside its address: "The PROXY protocol,
 * versions 1 & 2", haproxy doc/proxy-protocol.txt, section 2.2.
 */
#ifndef LB_WIRE_PROXY_TLV_H
#define LB_WIRE_PROXY_TLV_H

#include "lb/wire/proxy.h"

struct proxy_extras {
	const char *unique_id; /* UNIQUE_ID: the session's, at most 128 bytes */
	const char *authority; /* AUTHORITY: the name that the client asked for (SNI); NULL = none,
				  and none is sent that is longer than 255 bytes */
	/* SSL: what was agreed on with the client, at most 64 bytes each; NULL = no TLS. It has
	 * shown no certificate. */
	const char *version, *cipher;
};

/* Puts them, and a checksum over it all (CRC32C), behind a version 2 header of len bytes, and
 * returns its length. */
size_t proxy_add_tlvs(uint8_t buf[PROXY_HEADER_MAX], size_t len, const struct proxy_extras *extras);

#endif

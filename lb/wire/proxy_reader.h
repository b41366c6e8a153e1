/*
 * Reads a PROXY protocol header, version 1 or 2, as it arrives: of whom a trusted source in front
 * of us says that the connection is. Which sources are trusted is not asked here, and whether a
 * header comes is never guessed: these bytes must be one.
 *
 * Source of every rule: "The PROXY protocol, versions 1 & 2", haproxy doc/proxy-protocol.txt,
 * sections 2.1 and 2.2; each is named where it stands. What a receiver may leave out or tolerate
 * is refused.
 *
 * A plain struct without memory of its own; feed it pieces of any size. A header may be as long as
 * its length field can say (16 + 65535 bytes); its TLVs are checked as they pass and not kept.
 */
#ifndef LB_WIRE_PROXY_READER_H
#define LB_WIRE_PROXY_READER_H

#include "acl/addr.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum {
	PROXY_V1_MAX = 107, /* bytes of a version 1 line with its CRLF: section 2.1 */
	PROXY_TLV_HEAD = 3, /* type and length: section 2.2 */
};

/* A run of TLVs, of which one is being read. */
struct proxy_tlvs {
	size_t at;   /* offset in the header at which this TLV begins, */
	size_t next; /* ends, once its head was read, */
	size_t end;  /* and at which the run must end */
	uint8_t head[PROXY_TLV_HEAD];
};

struct proxy_reader {
	/* Whether the header names a connection: false for UNKNOWN, LOCAL, UNSPEC and all that is
	 * not TCP over IP, where the connection's own addresses count. */
	bool announced;
	/* When announced: of one family, mapped addresses folded. A port may be 0. */
	struct endpoint source, destination;
	const char *why; /* after -1: what is wrong with it; a constant */
	size_t total;    /* bytes taken so far */
	/* Private. The v1 line, or the v2 header up to the TLVs as far as it matters. */
	uint8_t head[PROXY_V1_MAX + 1];
	size_t tlvs_at;                 /* v2: where the addresses end */
	size_t end;                     /* v2: where the header ends */
	struct proxy_tlvs outer, inner; /* the header's TLVs, and those within PP2_TYPE_SSL */
	bool has_checksum;
	uint32_t checksum; /* as announced */
	uint32_t running;  /* as computed so far */
};

void proxy_reader_init(struct proxy_reader *reader);

/* Takes the next piece. Returns the bytes of this piece up to and including the header's end once
 * it is complete; 0 when more is needed (the whole piece was taken); -1 when this is no header or a
 * malformed one, with `why` set. len is at least 1. Not to be called again after other than 0. */
ssize_t proxy_reader_feed(struct proxy_reader *reader, const uint8_t *piece, size_t len);

#endif

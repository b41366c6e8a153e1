/*
 * Finds the end of the mail data behind DATA as it passes: CRLF.CRLF and nothing else (RFC 5321
 * section 4.1.1.4: a bare LF or CR ends neither a line nor the data). The CRLF of the line before
 * counts as the first, so data may be but ".CRLF".
 *
 * A plain struct without memory of its own; feed it pieces of any size, the larger the faster.
 */
#ifndef LB_WIRE_BODY_H
#define LB_WIRE_BODY_H

#include <stddef.h>
#include <stdint.h>

struct body {
	uint8_t matched; /* private: bytes of CRLF.CRLF that the data ends with so far */
};

void body_init(struct body *body);

/* Takes the next piece. Returns the bytes of this piece up to and including the end of the data, or
 * 0 when more is needed (the whole piece was taken). len is at least 1. Not to be called again
 * after other than 0, before another body_init. */
size_t body_scan(struct body *body, const uint8_t *piece, size_t len);

#endif

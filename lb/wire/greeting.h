/*
 * Reads an SMTP server's greeting as it arrives (RFC 5321 sections 3.1, 4.2 and 4.2.1): one reply,
 * perhaps of several lines, complete only with its last line ("220 text", or a bare "220").
 * postscreen may send a "220-" line, wait seconds and then end it.
 *
 * A plain struct without memory of its own; feed it pieces of any size.
 */
#ifndef LB_WIRE_GREETING_H
#define LB_WIRE_GREETING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum {
	GREETING_MAX = 4096, /* bytes; a longer one is not a greeting */
	GREETING_LINE_MAX = 200,
};

struct greeting {
	unsigned code; /* of the first line: 0 until its three digits came */
	char line[GREETING_LINE_MAX +
		  1]; /* the first line, cut, without its end, NUL-terminated; raw
			 bytes of the server's, a NUL among them written as '?' */
	size_t total; /* bytes taken so far */
	/* Private: the line that is being read. */
	size_t column;    /* its bytes so far */
	bool later;       /* it is not the first */
	bool last;        /* it ends the greeting */
	uint8_t previous; /* its latest byte */
};

void greeting_init(struct greeting *greeting);

/* Takes the next piece. Returns the bytes of this piece up to and including the end of the
 * greeting once it is complete; 0 when more is needed (the whole piece was taken); -1 when this can
 * be no greeting (not three digits and ' ' or '-', another code in a later line, too long). A
 * complete reply with another code than 220 is complete too: look at code. Lines end with LF, a CR
 * before it belongs to the end. len is at least 1. Not to be called again after other than 0. */
ssize_t greeting_feed(struct greeting *greeting, const uint8_t *piece, size_t len);

#endif

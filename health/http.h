/*
 * The http probe on the wire: the request that is sent, and an incremental reader of the reply's
 * status line and header (RFC 9112 sections 2.2, 4 and 5). Pure; whoever holds the struct calls
 * from one thread.
 *
 * The reader takes what RFC 9112 lets a client take: HTTP/1.x with any x, lines ended by CRLF or a
 * bare LF, no reason phrase, folded lines. Anything else is malformed: a status of other than three
 * digits, a control byte, a CR without LF, a line without a colon. Interim replies (100 to 199 but
 * 101) are skipped.
 */
#ifndef HEALTH_HTTP_H
#define HEALTH_HTTP_H

#include "acl/addr.h"
#include "conf/snapshot.h"

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum {
	HTTP_HEADER_MAX = 16384, /* bytes of all status lines and headers together */
	HTTP_LINE_MAX = 60,
};

/* The request for this check of this address, to be freed by the caller; NULL on no memory. The
 * Host header is check->host as it stands, or else the address, with the port when it is not 80. */
char *http_request(const struct check_conf *check, const struct addr *address);

struct http_reply {
	unsigned status;              /* 100 to 999, once the reply is complete */
	size_t total;                 /* bytes taken so far, interim replies included */
	const char *why;              /* after -1: what is wrong, a static text */
	char line[HTTP_LINE_MAX + 1]; /* the status line as far as it came, cut; all but printable
					 ASCII is written as '?' */
	uint8_t line_len;             /* private, as the rest */
	uint8_t state;
	uint8_t at;
};

void http_reply_init(struct http_reply *reply);

/* Takes the next piece of the reply. Returns the bytes of this piece up to and including the end of
 * the header once that is complete; 0 when more is needed (the whole piece was taken); -1 when this
 * is no HTTP reply or its header is too long. len is at least 1; after an end or an error the reply
 * takes no more. */
ssize_t http_reply_feed(struct http_reply *reply, const uint8_t *piece, size_t len);

#endif

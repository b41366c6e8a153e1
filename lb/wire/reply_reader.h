/*
 * Reads a relay's replies as they pass (RFC 5321 sections 4.2 and 4.2.1): lines "NNN-text" and
 * then "NNN text" or a bare "NNN", and the enhanced status code that may begin the text (RFC 2034
 * section 4).
 *
 * A line ends with LF, a CR before it belongs to the end. NUL and bytes above 127 are text.
 *
 * A plain struct without memory of its own; feed it pieces of any size.
 */
#ifndef LB_WIRE_REPLY_READER_H
#define LB_WIRE_REPLY_READER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum {
	REPLY_READER_MAX = 65536, /* bytes; a longer one is not a reply */
};

struct reply_status {
	uint16_t code;            /* 200 to 599 */
	uint16_t subject, detail; /* "5.7.1" is class 5, subject 7, detail 1 */
	uint8_t class;            /* 0: the last line has no enhanced code */
};

enum {
	REPLY_STATUS_TEXT_MAX = sizeof("599 5.65535.65535"),
};

/* "250 2.1.5", or "250" without an enhanced code. Returns buf. */
const char *reply_status_format(const struct reply_status *status, char buf[REPLY_STATUS_TEXT_MAX]);

struct reply_reader {
	struct reply_status status; /* whole once the reply is */
	/* Private. */
	uint32_t total; /* bytes taken so far */
	uint8_t phase;
	uint8_t column; /* digits of the number that is being read */
	bool later;     /* the line is not the first */
	bool last;      /* the line ends the reply */
};

void reply_reader_init(struct reply_reader *reader);

/* Takes the next piece. Returns the bytes of this piece up to and including the reply's end once
 * it is complete; 0 when more is needed (the whole piece was taken); -1 when this can be no reply
 * (a code outside of 200 to 599, something else than ' ', '-' or the end behind it, another code in
 * a later line, too long). len is at least 1. Not to be called again after other than 0, before
 * another reply_reader_init. */
ssize_t reply_reader_feed(struct reply_reader *reader, const uint8_t *piece, size_t len);

/* Whether anything of the reply was read yet. */
bool reply_reader_is_begun(const struct reply_reader *reader);

#endif

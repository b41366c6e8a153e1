/*
 * A client's part of the way into TLS on an SMTP connection (RFC 3207 section 4), behind the
 * greeting: reads what the server answers to EHLO and then to STARTTLS, and says what is to be done
 * about it. What a server has sent behind its 220 was not said under TLS, and is to be thrown away
 * (section 6).
 *
 * A plain struct without memory of its own; feed it pieces of any size.
 */
#ifndef LB_WIRE_UPGRADE_H
#define LB_WIRE_UPGRADE_H

#include "lb/wire/reply_reader.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum upgrade_step {
	UPGRADE_WAIT,  /* for more of what is answered */
	UPGRADE_ASK,   /* say STARTTLS now */
	UPGRADE_READY, /* begin TLS now */
	/* It will not be: */
	UPGRADE_NOT_OFFERED, /* by the reply to EHLO */
	UPGRADE_REFUSED,     /* STARTTLS was answered with other than 220 */
	UPGRADE_MALFORMED,   /* this is no reply, or more than one */
};

struct upgrade {
	struct reply_reader reply; /* its status is the latest reply's, once it is whole */
	/* Private. */
	bool asked;       /* it is STARTTLS that is answered */
	bool offered;     /* a line of the reply had the keyword */
	bool later;       /* the line is not the first */
	uint8_t column;   /* of the line, up to where the keyword ends */
	uint8_t matching; /* bytes of the keyword that this line has had */
};

enum {
	UPGRADE_WORDS_MAX = 512, /* bytes: RFC 5321 section 4.5.3.1.4 */
};

/* EHLO has been said. */
void upgrade_init(struct upgrade *upgrade);

/* Takes the next piece, of at least 1 byte. Not to be called again after one of the last four. */
enum upgrade_step upgrade_feed(struct upgrade *upgrade, const uint8_t *piece, size_t len);

/* What is to be said in UPGRADE_ASK. */
extern const char upgrade_words[];

/* Why it will not be, in a few words; a constant. */
const char *upgrade_why(enum upgrade_step step);

#endif

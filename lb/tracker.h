/*
 * Reads along in both directions of an SMTP session, without changing or delaying a byte: whether
 * the session is between messages or in one, what the relay answered, and how many messages and
 * recipients it took.
 *
 * It knows by pairing commands with replies (RFC 5321 section 3; RFC 2920), and never runs ahead of
 * the relay: what a command asks for counts once the reply to it is whole. Where a client or a
 * relay makes pairing impossible the session is opaque from there on, and flows on unread.
 *
 * Each direction's bytes are to be read here before they are passed on, in the order in which they
 * came. Plain memory of the session's but for the pipeline's heap; runs in the session's worker.
 */
#ifndef LB_TRACKER_H
#define LB_TRACKER_H

#include "lb/pipeline.h"
#include "lb/wire/body.h"
#include "lb/wire/command.h"
#include "lb/wire/reply_reader.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum outcome {
	OUTCOME_ACCEPTED, /* 2xx */
	OUTCOME_DEFERRED, /* 4xx */
	OUTCOME_REJECTED, /* 5xx */
	OUTCOMES,
};

enum tracker_place {
	/* No transaction, no command outstanding, none begun, no reply begun, and neither side has
	 * said goodbye (QUIT answered, or 421): here a 421 of ours may be said. */
	TRACKER_BETWEEN,
	/* No transaction, but one of the others. */
	TRACKER_BUSY,
	/* From a MAIL that was sent whole to the final dot or the last BDAT's last byte. */
	TRACKER_TRANSACTION,
	/* And up to the reply to that, whatever was sent behind it. */
	TRACKER_AFTER_DOT,
	TRACKER_OPAQUE,
};

/* Why nothing can be known any more. */
enum tracker_opaque {
	OPAQUE_NOT,
	OPAQUE_STARTTLS, /* the client and the relay speak TLS */
	OPAQUE_AHEAD,    /* the client went on where it had to await a reply */
	OPAQUE_BDAT,     /* a chunk of no known size */
	OPAQUE_PIPELINE, /* more than PIPELINE_MAX commands outstanding, or no memory for them */
	OPAQUE_REPLY,    /* the relay said what is no reply, */
	OPAQUE_SURPLUS,  /* or replied where nothing was outstanding, other than 421, */
	OPAQUE_INTERMEDIATE, /* or 3xx where nobody knows what follows */
	OPAQUES,
};

struct tracker {
	uint32_t messages[OUTCOMES];   /* by the replies to a final dot or last BDAT */
	uint32_t recipients[OUTCOMES]; /* by the replies to RCPT */
	struct reply_status last;      /* the latest reply that was whole; code 0 for none */
	uint8_t opaque;                /* an enum tracker_opaque */
	/* Private. */
	uint8_t mode;           /* what the client's next bytes are */
	struct body body;       /* in mode BODY */
	bool open : 1;          /* a transaction: its MAIL was accepted */
	bool goodbye : 1;       /* one side has said it */
	bool quit : 1;          /* the client has, and was answered */
	uint8_t holds : 2;      /* an enum tracker_hold: where to stop, */
	bool held : 1;          /* which happened, */
	bool pass : 1;          /* but not at the next MAIL */
	uint16_t mails;         /* outstanding replies to MAIL, */
	uint16_t finals;        /* and to a final dot or last BDAT that was sent whole */
	struct command command; /* in mode CHUNK: its BDAT, with the bytes left in size */
	struct reply_reader reply;
	struct pipeline pipeline;
};

_Static_assert(sizeof(struct tracker) <= 96, "one in every session");

/* Told of each reply that answers a command, and of each 421 that answers none (VERB_NONE), once it
 * is whole and the tracker knows of it. The tracker must not be called but for tracker_place and
 * tracker_hold. */
typedef void tracker_tell(void *context, enum verb verb, const struct reply_status *status);

/* The greeting has passed, nothing else yet. */
void tracker_init(struct tracker *tracker);

void tracker_fini(struct tracker *tracker);

/* Reads the client's bytes along and returns how many. Fewer than len only under tracker_hold,
 * before a command whose verb is whole now: nothing from there on counts yet. 0 when it began in an
 * earlier piece; that start of it, which has passed already, no longer keeps the place from being
 * TRACKER_BETWEEN. */
size_t tracker_read_client(struct tracker *tracker, const uint8_t *bytes, size_t len);

/* Reads the relay's bytes along up to the end of one reply, and returns how many; whole tells
 * whether it ended there. */
size_t tracker_read_reply(struct tracker *tracker, const uint8_t *bytes, size_t len, bool *whole,
	tracker_tell *tell, void *context);

/* The same with all of them. */
void tracker_read_relay(struct tracker *tracker, const uint8_t *bytes, size_t len,
	tracker_tell *tell, void *context);

/* At which commands to stop. */
enum tracker_hold {
	HOLD_NONE,
	HOLD_MAIL,
	HOLD_STARTTLS, /* and MAIL */
	HOLD_AUTH,     /* and these two */
};

/* From now on stop at each of these. The caller may reply in its place once the place is
 * TRACKER_BETWEEN, which it may become with the replies that are outstanding; or let a MAIL pass
 * with tracker_pass_mail; and otherwise asks again after each reply, by tracker_read_client with
 * the same bytes. Passes by itself: a MAIL within a transaction with nothing outstanding. */
void tracker_hold(struct tracker *tracker, enum tracker_hold holds);

/* How many of the bytes that were read last begin a command's word that is not whole yet. They
 * count as unread from now on: what could not be held any more once they have passed. */
size_t tracker_unread_word(struct tracker *tracker);

/* What the relay's next bytes answer; VERB_NONE when nothing is outstanding. */
enum verb tracker_awaited(const struct tracker *tracker);

/* Whether it has begun a reply that is not whole. */
bool tracker_is_in_reply(const struct tracker *tracker);

/* The next MAIL passes though it would be held. */
void tracker_pass_mail(struct tracker *tracker);

enum tracker_place tracker_place(const struct tracker *tracker);

/* Whether the client has taken its leave, by a QUIT that was answered, and nobody has said anything
 * since. */
bool tracker_is_over(const struct tracker *tracker);

/* How many messages have had their reply. */
uint32_t tracker_messages(const struct tracker *tracker);

const char *tracker_place_name(enum tracker_place place);

/* NULL for OPAQUE_NOT. */
const char *tracker_opaque_name(enum tracker_opaque opaque);

#endif

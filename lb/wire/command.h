/*
 * Reads an SMTP client's command lines as they pass: which verb each one has, and of BDAT what
 * follows it. What the arguments of the others say is not looked at.
 *
 * A line ends with LF, with or without a CR (RFC 5321 section 2.3.8 wants CRLF; relays take both).
 * A verb may stand behind blanks and ends at one, in any case (section 2.4), as Postfix's smtpd
 * takes it; a CR within a line counts as a blank there. Every line is one command, however long:
 * an empty one is answered like any other. NUL and bytes above 127 are data.
 *
 * A plain struct without memory of its own; feed it pieces of any size.
 */
#ifndef LB_WIRE_COMMAND_H
#define LB_WIRE_COMMAND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What a relay answers. */
enum verb {
	/* Command lines: RFC 5321 section 4.1.1; BDAT: RFC 3030; AUTH: RFC 4954; STARTTLS: 3207. */
	VERB_HELO,
	VERB_EHLO,
	VERB_MAIL,
	VERB_RCPT,
	VERB_DATA,
	VERB_BDAT, /* a chunk that is not the last */
	VERB_RSET,
	VERB_AUTH,
	VERB_STARTTLS,
	VERB_NOOP,
	VERB_VRFY,
	VERB_QUIT,
	VERB_OTHER, /* any other line */
	/* What ends a message. */
	VERB_DOT,
	/* Never a client's. */
	VERB_GREETING,
	/* What has no name of its own: BDAT's last chunk, which ends a message as well, */
	VERB_BDAT_LAST,
	VERB_NONE, /* nothing was asked: the relay said 421 by itself */
};

enum {
	COMMANDS = VERB_OTHER,     /* verbs that a line may begin with */
	VERBS = VERB_GREETING + 1, /* that have names of their own */
};

struct command {
	uint64_t size;       /* BDAT: bytes of the chunk that follows the line */
	uint16_t candidates; /* private: a bit for each verb that it can still be */
	uint8_t verb;        /* once known: an enum verb; a whole BDAT LAST is VERB_BDAT_LAST */
	uint8_t column;      /* private: bytes of the word that is being read */
	uint8_t phase;       /* private */
	bool malformed;      /* a whole BDAT line from which no size can be had */
};

void command_init(struct command *command);

/* Takes the next piece. Returns the bytes of this piece up to and including the line's end once it
 * is complete, 0 when more is needed (the whole piece was taken). len is at least 1. Not to be
 * called again after other than 0, before another command_init. */
size_t command_feed(struct command *command, const uint8_t *piece, size_t len);

/* Whether anything of the line was read yet. */
bool command_is_begun(const struct command *command);

/* Whether the verb was read to its end. */
bool command_is_known(const struct command *command);

/* How many of the bytes that were read last are of a verb that has not been read to its end; 0 when
 * none are, or it can be no name any more. */
size_t command_word_len(const struct command *command);

/* The verb in capitals, both kinds of BDAT alike; a constant. */
const char *verb_name(enum verb verb);

#endif

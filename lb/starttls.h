/*
 * The session of a client whose TLS ends here. The only bytes that are changed on their way are
 * these: the relay's reply to EHLO offers STARTTLS until TLS is on, and not from then on (ehlo.h);
 * STARTTLS is answered here, as are MAIL and AUTH where TLS must come first, or a new EHLO has to
 * come behind it; and nothing of them goes to the relay. RFC 3207.
 *
 * What a client has sent behind STARTTLS, before TLS was on, is thrown away (section 4.2 and
 * CVE-2011-0411), and the relay is not read until it is.
 */
#ifndef LB_STARTTLS_H
#define LB_STARTTLS_H

#include "lb/tracker.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct chunk;
struct session;

enum {
	STARTTLS_WORD_MAX = 8, /* bytes of the longest: STARTTLS */
};

/* Private, but for offer.h. */
struct starttls {
	struct chunk *rest; /* of the client, from behind `word`: a command to be answered */
	struct chunk *ehlo; /* of the relay: its reply to EHLO, so far */
	char *name;         /* of whom the client has asked for */
	uint8_t word[STARTTLS_WORD_MAX];
	uint8_t word_len;
	bool needs_ehlo; /* since TLS stands: what was said before does not count */
	bool has_auth;   /* the client has logged in */
};

/* For a session that is greeted: 0, or -1 for want of memory. Nothing, without TLS. */
int starttls_begin(struct session *session);
void starttls_end(struct session *session);

/* The name that the client has asked for (SNI), NULL for none. */
const char *starttls_name(const struct session *session);

/* The word of a command that the client has begun and that was held back: feed it to the tracker
 * ahead of the client's next bytes. Empty without TLS. */
const uint8_t *starttls_word(const struct session *session, size_t *len);

/* Whether the command at which the tracker stopped is answered here. */
bool starttls_answers(const struct session *session, const struct chunk *chunk, size_t at);

/* The tracker has read len bytes of the client's chunk, which is taken. Returns what may pass, in
 * a list, and keeps the rest: a word that is not whole, or the command at which it stopped. */
struct chunk *starttls_keep_back(struct session *session, struct chunk *chunk, size_t len);

/* The client has ended: the word that was held back, to be passed on; NULL for none. Or it is
 * refused, and all that is kept is dropped. */
struct chunk *starttls_last_word(struct session *session);
void starttls_drop(struct session *session);

/* Whether the client must not be read from. */
bool starttls_waits(const struct session *session);

/* More of a command's line that is kept. Whether there is one; the chunk is taken then. */
bool starttls_take_line(struct session *session, struct chunk *chunk);

/* Answers the command that is kept once it is time: when all before it has been. Returns what the
 * client has sent behind it, to be read; NULL for nothing, or when the session has gone. */
struct chunk *starttls_answer(struct session *session);

/* Of handshake.h: TLS stands. */
void starttls_secured(struct session *session);

/* A reply of the relay's, as the tracker tells of it. */
void starttls_note(struct session *session, enum verb verb, const struct reply_status *status);

/* Whether nothing may pass any more: TLS is required, not on, and nobody can tell what passes. */
bool starttls_is_evaded(const struct session *session);

/* Whether TLS stands. */
bool starttls_is_on(const struct session *session);

/* For offer.h: a chunk with these bytes, CHUNK_LARGE at most, NULL for want of memory; and the end
 * of the session, for that want, or because a command line, or a reply, has no end. Takes the list,
 * and returns NULL. */
struct chunk *starttls_copy(struct session *session, const void *bytes, size_t len);
struct chunk *starttls_give_up(struct session *session, struct chunk *list);

#endif

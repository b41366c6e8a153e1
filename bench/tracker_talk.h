/*
 * What the tracker benchmark has the tracker read: whole sessions behind the greeting, as Postfix
 * holds them with a relay that offers PIPELINING. One thread; whoever makes a talk owns it.
 */
#ifndef BENCH_TRACKER_TALK_H
#define BENCH_TRACKER_TALK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What a message is made of. */
enum matter {
	MATTER_TEXT,   /* lines of words */
	MATTER_BASE64, /* lines of 76 */
	MATTER_DOTS,   /* lines of words, each with a stuffed dot before it */
	MATTER_BARE,   /* LF "." and again: many line ends that are none */
	MATTER_ALMOST, /* CRLF "." CR and again: each but the last byte of the end */
	MATTERS,
};

/* What one side says until it awaits the other. */
struct turn {
	size_t from; /* in the talk's bytes */
	size_t len;
	bool is_relay;
};

struct talk {
	uint8_t *bytes;
	size_t len, capacity;
	struct turn *turns;
	size_t count, turns_capacity;
	uint32_t messages;
};

/* EHLO, then messages of `size` bytes in one session, sent with DATA. MAIL, RCPT and DATA go
 * together, as do the final dot and QUIT; between messages there is the RSET of a cached
 * connection. */
void talk_init(struct talk *talk, enum matter matter, size_t size, unsigned messages);

/* The same with one message sent with BDAT in chunks of up to chunk_size bytes, all together. */
void talk_init_bdat(struct talk *talk, size_t size, size_t chunk_size);

void talk_fini(struct talk *talk);

#endif

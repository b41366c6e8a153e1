/*
 * The receiving side of one SMTP session (RFC 5321, RFC 2920 pipelining): bytes in, replies out.
 * No I/O and no memory of its own; one thread.
 */
#ifndef BENCH_DIALOG_H
#define BENCH_DIALOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	DIALOG_LINE_MAX = 1024, /* a command line with its end; a longer one is refused */
	DIALOG_ID_MAX = 128,
	REPLIES_SIZE = 4096,
	DIALOG_TAIL = 4096, /* of a message's body, never dropped */
};

enum dialog_state {
	DIALOG_COMMAND,
	DIALOG_TOO_LONG, /* until the end of a line that is */
	DIALOG_DATA,
	DIALOG_OVER, /* QUIT was answered */
};

/* Where a transaction stands; each step allows the next. */
enum dialog_step {
	STEP_CONNECTED,
	STEP_HELLO,
	STEP_MAIL,
	STEP_RCPT,
};

struct message {
	char id[DIALOG_ID_MAX + 1]; /* X-Demo-Id, else Message-Id, else "-"; one printable word */
	uint64_t size;              /* with dots unstuffed, without the final dot's line */
};

/* Replies that wait to be sent. */
struct replies {
	size_t len;
	char text[REPLIES_SIZE];
};

struct dialog {
	const char *name; /* ours, as the greeting says it */
	/* Asked at the end of each message; false: it is answered with 452 instead of 250. */
	bool (*keep)(void *context, const struct message *message);
	void *context;
	enum dialog_state state;
	enum dialog_step step;
	/* The message that is coming in. */
	unsigned matched; /* how many bytes of CRLF.CRLF the last ones are */
	bool in_header;
	bool demo_id;       /* id came from X-Demo-Id */
	uint64_t announced; /* MAIL's SIZE; 0 = none */
	struct message message;
	size_t line_len;
	char line[DIALOG_LINE_MAX]; /* a header line, cut */
};

void dialog_init(struct dialog *dialog, const char *name,
	bool (*keep)(void *context, const struct message *message), void *context);

void dialog_greet(const struct dialog *dialog, struct replies *replies);

/* Takes what it can of the input and returns how many bytes: fewer than len when a command line
 * waits for its end, when there is no room for another reply, or when the dialog is over. With
 * empty replies and at least DIALOG_LINE_MAX bytes it takes some. */
size_t dialog_feed(
	struct dialog *dialog, const uint8_t *input, size_t len, struct replies *replies);

/* How many of the bytes that come next are surely inside of a message's body, by what MAIL has
 * announced as its SIZE, so that nobody needs to look at them; and that they were dropped. */
size_t dialog_droppable(const struct dialog *dialog);
void dialog_drop(struct dialog *dialog, size_t len);

#endif

/*
 * Sessions, written down. See tracker_talk.h.
 */
#include "bench/tracker_talk.h"

#include "acl/mem.h"
#include "bench/random.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	LINE_LEN = 76,
	LINE_SIZE = 128, /* with its end, and what may stand before it */
	WORD_MAX = 10,
};

static void
append(struct talk *talk, const void *bytes, size_t len)
{
	while (talk->capacity - talk->len < len)
		talk->bytes = mem_grow(talk->bytes, &talk->capacity, 1);
	memcpy(talk->bytes + talk->len, bytes, len);
	talk->len += len;
}

static void
begin_turn(struct talk *talk, bool is_relay)
{
	if (talk->count == talk->turns_capacity)
		talk->turns = mem_grow(talk->turns, &talk->turns_capacity, sizeof(*talk->turns));
	talk->turns[talk->count++] = (struct turn){.from = talk->len, .is_relay = is_relay};
}

static void
end_turn(struct talk *talk)
{
	struct turn *turn = &talk->turns[talk->count - 1];
	turn->len = talk->len - turn->from;
}

static void
say(struct talk *talk, bool is_relay, const char *text)
{
	begin_turn(talk, is_relay);
	append(talk, text, strlen(text));
	end_turn(talk);
}

/* Lines. Each returns its length. */

static size_t
write_end(char *to)
{
	to[0] = '\r';
	to[1] = '\n';
	return 2;
}

static size_t
write_words(char *line, uint64_t *random)
{
	size_t until = LINE_LEN / 2 + random_next(random) % (LINE_LEN / 2);
	size_t len = 0;
	while (len < until) {
		size_t word_end = len + 1 + random_next(random) % WORD_MAX;
		while (len < word_end)
			line[len++] = (char)('a' + random_next(random) % 26);
		line[len++] = ' ';
	}
	return len - 1 + write_end(line + len - 1);
}

static size_t
write_base64(char *line, uint64_t *random)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	for (size_t i = 0; i < LINE_LEN; i++)
		line[i] = digits[random_next(random) % 64];
	return LINE_LEN + write_end(line + LINE_LEN);
}

static size_t
write_line(enum matter matter, char line[LINE_SIZE], uint64_t *random)
{
	static const char dots[] = {'.', '.'};
	static const char bare[] = {'\n', '.'};
	static const char almost[] = {'\r', '\n', '.', '\r'};
	switch (matter) {
	case MATTER_TEXT:
		return write_words(line, random);
	case MATTER_BASE64:
		return write_base64(line, random);
	case MATTER_DOTS:
		memcpy(line, dots, sizeof(dots));
		return sizeof(dots) + write_words(line + sizeof(dots), random);
	case MATTER_BARE:
		memcpy(line, bare, sizeof(bare));
		return sizeof(bare);
	case MATTER_ALMOST:
		memcpy(line, almost, sizeof(almost));
		return sizeof(almost);
	case MATTERS:
		break;
	}
	abort();
}

/* So many bytes of it, but for a line's end where a line is cut. */
static void
append_matter(struct talk *talk, enum matter matter, size_t size, uint64_t *random)
{
	char line[LINE_SIZE];
	size_t left = size;
	while (left > 0) {
		size_t len = write_line(matter, line, random);
		if (len > left)
			len = left;
		append(talk, line, len);
		left -= len;
	}
}

static void
begin(struct talk *talk)
{
	memset(talk, 0, sizeof(*talk));
	say(talk, false, "EHLO client.example.com\r\n");
	say(talk, true,
		"250-relay.example.com\r\n250-PIPELINING\r\n250-SIZE 10240000\r\n250-VRFY\r\n"
		"250-ETRN\r\n250-ENHANCEDSTATUSCODES\r\n250-8BITMIME\r\n250-DSN\r\n"
		"250-SMTPUTF8\r\n250 CHUNKING\r\n");
}

#define ENVELOPE                                              \
	"MAIL FROM:<sender@client.example.com> SIZE=1024\r\n" \
	"RCPT TO:<recipient@example.net> ORCPT=rfc822;recipient@example.net\r\n"

static void
add_message(struct talk *talk, enum matter matter, size_t size, uint64_t *random, bool last)
{
	say(talk, false, ENVELOPE "DATA\r\n");
	say(talk, true, "250 2.1.0 Ok\r\n250 2.1.5 Ok\r\n354 End data with <CR><LF>.<CR><LF>\r\n");
	begin_turn(talk, false);
	append_matter(talk, matter, size, random);
	const char *end = last ? "\r\n.\r\nQUIT\r\n" : "\r\n.\r\n";
	append(talk, end, strlen(end));
	end_turn(talk);
	say(talk, true,
		last ? "250 2.0.0 Ok: queued as 4FxJ2c3Kq1z9rT\r\n221 2.0.0 Bye\r\n"
		     : "250 2.0.0 Ok: queued as 4FxJ2c3Kq1z9rT\r\n");
	talk->messages++;
}

void
talk_init(struct talk *talk, enum matter matter, size_t size, unsigned messages)
{
	uint64_t random = 0x5eed;
	begin(talk);
	for (unsigned i = 1; i <= messages; i++) {
		add_message(talk, matter, size, &random, i == messages);
		if (i == messages)
			break;
		say(talk, false, "RSET\r\n");
		say(talk, true, "250 2.0.0 Ok\r\n");
	}
}

/* The commands and their chunks. Returns how many there are. */
static unsigned
append_chunks(struct talk *talk, size_t size, size_t chunk_size, uint64_t *random)
{
	unsigned chunks = 0;
	for (size_t left = size; left > 0; chunks++) {
		char line[LINE_SIZE];
		size_t chunk = left < chunk_size ? left : chunk_size;
		left -= chunk;
		int len =
			snprintf(line, sizeof(line), "BDAT %zu%s\r\n", chunk, left ? "" : " LAST");
		append(talk, line, (size_t)len);
		append_matter(talk, MATTER_BASE64, chunk, random);
	}
	return chunks;
}

void
talk_init_bdat(struct talk *talk, size_t size, size_t chunk_size)
{
	static const char taken[] = "250 2.0.0 Ok: 1048576 bytes\r\n";
	static const char queued[] = "250 2.0.0 Ok: queued as 4FxJ2c3Kq1z9rT\r\n221 2.0.0 Bye\r\n";
	uint64_t random = 0x5eed;
	begin(talk);
	say(talk, false, ENVELOPE);
	say(talk, true, "250 2.1.0 Ok\r\n250 2.1.5 Ok\r\n");
	begin_turn(talk, false);
	unsigned chunks = append_chunks(talk, size, chunk_size, &random);
	append(talk, "QUIT\r\n", 6);
	end_turn(talk);
	begin_turn(talk, true);
	for (unsigned i = 1; i < chunks; i++)
		append(talk, taken, sizeof(taken) - 1);
	append(talk, queued, sizeof(queued) - 1);
	end_turn(talk);
	talk->messages = 1;
}

void
talk_fini(struct talk *talk)
{
	free(talk->bytes);
	free(talk->turns);
}

/*
 * Reads command lines a byte at a time up to what matters in them, so that where the pieces were
 * split can't matter. Runs in the session's worker, the struct is the session's.
 */
#include "lb/wire/command.h"

#include <string.h>

enum {
	NAME_MAX_LEN = 8, /* STARTTLS */
	BASE = 10,
};

/* A size that no message has, and below which another digit still fits into size. */
static const uint64_t size_max = INT64_MAX / BASE;

static const char names[][NAME_MAX_LEN + 1] = {
	[VERB_HELO] = "HELO",
	[VERB_EHLO] = "EHLO",
	[VERB_MAIL] = "MAIL",
	[VERB_RCPT] = "RCPT",
	[VERB_DATA] = "DATA",
	[VERB_BDAT] = "BDAT",
	[VERB_RSET] = "RSET",
	[VERB_AUTH] = "AUTH",
	[VERB_STARTTLS] = "STARTTLS",
	[VERB_NOOP] = "NOOP",
	[VERB_VRFY] = "VRFY",
	[VERB_QUIT] = "QUIT",
	[VERB_OTHER] = "OTHER",
	[VERB_DOT] = "DOT",
	[VERB_BDAT_LAST] = "BDAT",
	[VERB_GREETING] = "GREETING",
	[VERB_NONE] = "NONE",
};

static const char last_name[] = "LAST";

/* What is awaited. */
enum phase {
	BEGIN, /* the first byte */
	BLANKS,
	VERB,
	REST, /* from here on the verb is known */
	/* BDAT's arguments, "chunk-size [SP LAST]": RFC 3030 section 2. */
	SIZE_BLANKS,
	SIZE,
	LAST_BLANKS,
	LAST,
	LAST_END,
	WRONG,
};

void
command_init(struct command *command)
{
	memset(command, 0, sizeof(*command));
	command->candidates = (1U << COMMANDS) - 1;
	command->verb = VERB_OTHER;
}

bool
command_is_begun(const struct command *command)
{
	return command->phase != BEGIN;
}

bool
command_is_known(const struct command *command)
{
	return command->phase >= REST;
}

size_t
command_word_len(const struct command *command)
{
	return command->phase == VERB && command->candidates ? command->column : 0;
}

const char *
verb_name(enum verb verb)
{
	return names[verb];
}

static bool
is_blank(uint8_t byte)
{
	return byte == ' ' || (byte >= '\t' && byte <= '\r');
}

static char
capital(uint8_t byte)
{
	return (char)(byte >= 'a' && byte <= 'z' ? byte - 'a' + 'A' : byte);
}

/* Takes a byte of the verb. No name has a NUL before its end, and none is longer than its row. */
static void
narrow(struct command *command, uint8_t byte)
{
	if (byte == '\0' || command->column == NAME_MAX_LEN) {
		command->candidates = 0;
		return;
	}
	for (unsigned verb = 0; verb < COMMANDS; verb++)
		if (names[verb][command->column] != capital(byte))
			command->candidates &= (uint16_t) ~(1U << verb);
	command->column++;
}

/* The verb is at its end: which one has as many letters? */
static void
know(struct command *command)
{
	for (unsigned verb = 0; verb < COMMANDS; verb++)
		if (command->candidates & 1U << verb && names[verb][command->column] == '\0')
			command->verb = (uint8_t)verb;
	command->phase = command->verb == VERB_BDAT ? SIZE_BLANKS : REST;
}

static void
take_digit(struct command *command, uint8_t byte)
{
	bool is_digit = byte >= '0' && byte <= '9';
	command->phase = is_digit && command->size < size_max ? SIZE : WRONG;
	command->size = command->size * BASE + (byte & 0xF);
}

static void
take_last(struct command *command, uint8_t byte)
{
	if (capital(byte) != last_name[command->column])
		command->phase = WRONG;
	else if (++command->column == sizeof(last_name) - 1)
		command->phase = LAST_END;
	else
		command->phase = LAST;
}

/* Takes a byte of BDAT's arguments. */
static void
take_argument(struct command *command, uint8_t byte)
{
	bool blank = is_blank(byte);
	uint8_t phase = command->phase;
	if (!blank && (phase == SIZE_BLANKS || phase == SIZE)) {
		take_digit(command, byte);
	} else if (phase == SIZE) {
		command->phase = LAST_BLANKS;
		command->column = 0;
	} else if (phase == LAST || (phase == LAST_BLANKS && !blank)) {
		take_last(command, byte);
	} else if (phase == LAST_END && !blank) {
		command->phase = WRONG;
	}
}

/* The line is at its end. */
static void
end(struct command *command)
{
	if (command->phase < REST)
		know(command);
	if (command->phase == LAST_END)
		command->verb = VERB_BDAT_LAST;
	else if (command->phase > REST)
		command->malformed = command->phase != SIZE && command->phase != LAST_BLANKS;
}

static void
take(struct command *command, uint8_t byte)
{
	if (command->phase >= REST)
		take_argument(command, byte);
	else if (command->phase == VERB && is_blank(byte))
		know(command);
	else if (is_blank(byte))
		command->phase = BLANKS;
	else {
		command->phase = VERB;
		narrow(command, byte);
	}
}

size_t
command_feed(struct command *command, const uint8_t *piece, size_t len)
{
	const uint8_t *lf = memchr(piece, '\n', len);
	size_t line_len = lf ? (size_t)(lf - piece) : len;
	for (size_t i = 0; i < line_len && command->phase != REST; i++)
		take(command, piece[i]);
	if (!lf)
		return 0;
	end(command);
	return line_len + 1;
}

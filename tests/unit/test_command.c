/*
 * The command reader: rows of lines as clients and others send them, each in every split in two and
 * a byte at a time.
 */
#include "lb/wire/command.h"

#include "tests/unit/unit.h"

#include <string.h>

#define INPUT(text) text, sizeof(text) - 1

enum {
	MALFORMED = VERB_NONE, /* a BDAT of no known size */
	PART = VERB_GREETING,  /* no whole line */
	LONG = 100000,
};

static const struct {
	const char *input;
	size_t len;
	int verb;
	uint64_t size;
	size_t behind; /* bytes behind the line's end */
} rows[] = {
	{INPUT("HELO relay\r\n"), VERB_HELO, 0, 0},
	{INPUT("EHLO relay\r\n"), VERB_EHLO, 0, 0},
	{INPUT("MAIL FROM:<a@b> SIZE=3\r\n"), VERB_MAIL, 0, 0},
	{INPUT("RCPT TO:<a@b>\r\n"), VERB_RCPT, 0, 0},
	{INPUT("DATA\r\n"), VERB_DATA, 0, 0},
	{INPUT("RSET\r\n"), VERB_RSET, 0, 0},
	{INPUT("AUTH PLAIN AGEAYg==\r\n"), VERB_AUTH, 0, 0},
	{INPUT("STARTTLS\r\n"), VERB_STARTTLS, 0, 0},
	{INPUT("NOOP\r\n"), VERB_NOOP, 0, 0},
	{INPUT("VRFY a\r\n"), VERB_VRFY, 0, 0},
	{INPUT("QUIT\r\n"), VERB_QUIT, 0, 0},
	/* Case, blanks, line ends. */
	{INPUT("mail from:<>\r\n"), VERB_MAIL, 0, 0},
	{INPUT("sTARTtls\r\n"), VERB_STARTTLS, 0, 0},
	{INPUT(" \t DATA \t\r\n"), VERB_DATA, 0, 0},
	{INPUT("\v\fDATA\v\r\n"), VERB_DATA, 0, 0},
	{INPUT("DATA\n"), VERB_DATA, 0, 0},
	{INPUT("DATA\r\r\n"), VERB_DATA, 0, 0},
	{INPUT("\rDATA\r\n"), VERB_DATA, 0, 0},
	{INPUT("DATA\rx\r\n"), VERB_DATA, 0, 0},
	{INPUT("DATA x\r\n"), VERB_DATA, 0, 0},
	{INPUT("QUIT\r\nRSET\r\n"), VERB_QUIT, 0, 6},
	{INPUT("\r\nRSET\r\n"), VERB_OTHER, 0, 6},
	{INPUT("\nRSET\r\n"), VERB_OTHER, 0, 6},
	/* Others. */
	{INPUT("\r\n"), VERB_OTHER, 0, 0},
	{INPUT(" \r\n"), VERB_OTHER, 0, 0},
	{INPUT("MAI\r\n"), VERB_OTHER, 0, 0},
	{INPUT("MAILS FROM\r\n"), VERB_OTHER, 0, 0},
	{INPUT("MAIL:\r\n"), VERB_OTHER, 0, 0},
	{INPUT("DATA\0\r\n"), VERB_OTHER, 0, 0},
	{INPUT("\0DATA\r\n"), VERB_OTHER, 0, 0},
	{INPUT("DA\0TA\r\n"), VERB_OTHER, 0, 0},
	{INPUT("STARTTLSX\r\n"), VERB_OTHER, 0, 0},
	{INPUT("STARTTL\r\n"), VERB_OTHER, 0, 0},
	{INPUT("DOT\r\n"), VERB_OTHER, 0, 0},
	{INPUT("OTHER\r\n"), VERB_OTHER, 0, 0},
	{INPUT("GREETING\r\n"), VERB_OTHER, 0, 0},
	{INPUT("\xC4\xC1TA\r\n"), VERB_OTHER, 0, 0},
	{INPUT(".\r\n"), VERB_OTHER, 0, 0},
	{INPUT("{ATA\r\n"), VERB_OTHER, 0, 0},
	{INPUT("`UIT\r\n"), VERB_OTHER, 0, 0},
	/* BDAT. */
	{INPUT("BDAT 0\r\n"), VERB_BDAT, 0, 0},
	{INPUT("BDAT 1234567890\r\n"), VERB_BDAT, 1234567890, 0},
	{INPUT("bdat 86 last\r\n"), VERB_BDAT_LAST, 86, 0},
	{INPUT("BDAT 86 LAST\r\nx"), VERB_BDAT_LAST, 86, 1},
	{INPUT("BDAT 0 LaST\n"), VERB_BDAT_LAST, 0, 0},
	{INPUT("BDAT  \t5 \t LAST \r\n"), VERB_BDAT_LAST, 5, 0},
	{INPUT("BDAT 5 \r\n"), VERB_BDAT, 5, 0},
	{INPUT("BDAT 5\n"), VERB_BDAT, 5, 0},
	{INPUT("BDAT 00000000000000000000000000000000000007\r\n"), VERB_BDAT, 7, 0},
	{INPUT("BDAT 9223372036854775799\r\n"), VERB_BDAT, 9223372036854775799, 0},
	{INPUT("BDAT 9223372036854775800\r\n"), MALFORMED, 0, 0},
	{INPUT("BDAT 18446744073709551617\r\n"), MALFORMED, 0, 0},
	{INPUT("BDAT 92233720368547758070000000000\r\n"), MALFORMED, 0, 0},
	{INPUT("BDAT\r\n"), MALFORMED, 0, 0},
	{INPUT("BDAT\n"), MALFORMED, 0, 0},
	{INPUT("BDAT \r\n"), MALFORMED, 0, 0},
	{INPUT("BDAT LAST\r\n"), MALFORMED, 0, 0},
	{INPUT("BDAT -1\r\n"), MALFORMED, 0, 0},
	{INPUT("BDAT +1\r\n"), MALFORMED, 0, 0},
	{INPUT("BDAT 0x10\r\n"), MALFORMED, 0, 0},
	{INPUT("BDAT 1/\r\n"), MALFORMED, 0, 0},
	{INPUT("BDAT 1:\r\n"), MALFORMED, 0, 0},
	{INPUT("BDAT 1\0\r\n"), MALFORMED, 0, 0},
	{INPUT("BDAT 10LAST\r\n"), MALFORMED, 0, 0},
	{INPUT("BDAT 10 LAS\r\n"), MALFORMED, 0, 0},
	{INPUT("BDAT 10 LA ST\r\n"), MALFORMED, 0, 0},
	{INPUT("BDAT 10 LASTS\r\n"), MALFORMED, 0, 0},
	{INPUT("BDAT 10 LAST x\r\n"), MALFORMED, 0, 0},
	{INPUT("BDAT 10 FIRST\r\n"), MALFORMED, 0, 0},
	{INPUT("BDAT 10 11\r\n"), MALFORMED, 0, 0},
	/* Not whole. */
	{INPUT("M"), PART, 0, 0},
	{INPUT("MAIL"), PART, 0, 0},
	{INPUT("MAIL "), PART, 0, 0},
	{INPUT("BDAT 10 LAST\r"), PART, 0, 0},
	{INPUT(" "), PART, 0, 0},
};

/* Feeds pieces of piece_len, the first one of first_len. Each is a copy of its exact size, so that
 * a sanitizer sees any read past it. */
static size_t
feed(struct command *command, const char *input, size_t len, size_t first_len, size_t piece_len)
{
	command_init(command);
	ck_assert(!command_is_begun(command));
	for (size_t at = 0, want = first_len; at < len; at += want, want = piece_len) {
		if (want > len - at)
			want = len - at;
		if (want == 0)
			continue;
		uint8_t *piece = malloc(want);
		memcpy(piece, input + at, want);
		size_t taken = command_feed(command, piece, want);
		free(piece);
		if (taken > 0)
			return at + taken;
		ck_assert(command_is_begun(command));
	}
	return 0;
}

static void
assert_row(size_t row, const struct command *command, size_t result)
{
	if (rows[row].verb == PART) {
		ck_assert_uint_eq(result, 0);
		return;
	}
	ck_assert_uint_eq(result, rows[row].len - rows[row].behind);
	ck_assert_int_eq(command->malformed, rows[row].verb == MALFORMED);
	if (command->malformed)
		return;
	ck_assert_str_eq(verb_name(command->verb), verb_name((enum verb)rows[row].verb));
	ck_assert_int_eq(command->verb, rows[row].verb);
	ck_assert_uint_eq(command->size, rows[row].size);
	ck_assert(command->verb == VERB_OTHER || command_is_known(command));
}

START_TEST(splits)
{
	size_t row = (size_t)_i, len = rows[row].len;
	struct command command;
	for (size_t cut = 0; cut <= len; cut++)
		assert_row(row, &command, feed(&command, rows[row].input, len, cut, len));
	assert_row(row, &command, feed(&command, rows[row].input, len, 1, 1));
}
END_TEST

/* The verb is known with the byte behind it. */
START_TEST(known)
{
	static const char input[] = " mail from";
	struct command command;
	for (size_t len = 1; len < sizeof(input); len++) {
		ck_assert_uint_eq(feed(&command, input, len, len, len), 0);
		ck_assert_int_eq(command_is_known(&command), len > strlen(" mail"));
		if (command_is_known(&command))
			ck_assert_int_eq(command.verb, VERB_MAIL);
	}
}
END_TEST

/* A line of any length is one command. */
START_TEST(long_lines)
{
	static const struct {
		char begin[8];
		char fill;
		enum verb verb;
	} lines[] = {{"MAIL ", 'x', VERB_MAIL}, {"QUIT", ' ', VERB_QUIT}, {"x", 'x', VERB_OTHER},
		{"BDAT 1", ' ', VERB_BDAT}, {"QUIT", 'T', VERB_OTHER}};
	static char input[LONG];
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		memset(input, lines[i].fill, sizeof(input));
		memcpy(input, lines[i].begin, strlen(lines[i].begin));
		input[LONG - 2] = '\n';
		struct command command;
		for (size_t piece_len = 1; piece_len <= LONG; piece_len *= 10) {
			ck_assert_uint_eq(
				feed(&command, input, LONG, piece_len, piece_len), LONG - 1);
			ck_assert_int_eq(command.verb, lines[i].verb);
			ck_assert(!command.malformed);
		}
	}
}
END_TEST

static void
fill(TCase *cases)
{
	tcase_add_loop_test(cases, splits, 0, sizeof(rows) / sizeof(rows[0]));
	tcase_add_test(cases, known);
	tcase_add_test(cases, long_lines);
}

UNIT_MAIN("command", fill)

/*
 * The tracker: dialogues, each replayed as written, with every split in two, and a byte at a time,
 * always with the same result and beside the oracle; where it stops at MAIL; random dialogues.
 *
 * A dialogue is written in lines:
 *   C: text   the client says "text" CRLF          c: text   without an end of its own
 *   S: text   the relay says so                    s: text
 *   = PLACE   where the session stands now, and behind ':' why it is opaque
 *   > VERB CODE [CLASS.SUBJECT.DETAIL]             what is told next of what was
 * In texts "%r" is CR, "%n" LF, "%0" NUL and "%F" a byte of 255.
 */
#include "lb/tracker.h"

#include "tests/unit/random.h"
#include "tests/unit/tracker_dialogues.h"
#include "tests/unit/tracker_pair.h"
#include "tests/unit/unit.h"

#include <stdio.h>
#include <string.h>

enum {
	TEXT_MAX = 256,
	TOLD_MAX = 64,
};

static const char *const place_names[] = {
	[TRACKER_BETWEEN] = "between",
	[TRACKER_BUSY] = "busy",
	[TRACKER_TRANSACTION] = "transaction",
	[TRACKER_AFTER_DOT] = "after_dot",
	[TRACKER_OPAQUE] = "opaque",
};

static const char *const opaque_names[] = {
	[OPAQUE_NOT] = "",
	[OPAQUE_STARTTLS] = ": starttls",
	[OPAQUE_AHEAD] = ": ahead",
	[OPAQUE_BDAT] = ": bdat",
	[OPAQUE_PIPELINE] = ": pipeline",
	[OPAQUE_REPLY] = ": reply",
	[OPAQUE_SURPLUS] = ": surplus",
	[OPAQUE_INTERMEDIATE] = ": intermediate",
};

/* A replay: `fed` bytes have passed, a piece ends behind the byte `cut`, and each is of at most
 * piece_max. */
struct replay {
	const char *name;
	struct pair pair;
	size_t fed, cut, piece_max;
	char told[TOLD_MAX][32];
	unsigned told_count, told_seen;
};

static void
tell(void *context, enum verb verb, const struct reply_status *status)
{
	struct replay *replay = context;
	pair_tell(&replay->pair, verb, status);
	ck_assert_uint_lt(replay->told_count, TOLD_MAX);
	char *line = replay->told[replay->told_count++];
	int len = sprintf(line, "%s %u", verb_name(verb), status->code);
	if (status->class)
		sprintf(line + len, " %u.%u.%u", status->class, status->subject, status->detail);
	/* It knows already. */
	ck_assert_mem_eq(&replay->pair.tracker.last, status, sizeof(*status));
}

static void
feed_piece(struct replay *replay, bool is_relay, const char *piece, size_t len)
{
	enum tracker_place before = tracker_place(&replay->pair.tracker);
	bool was_chunk = replay->pair.oracle.reads == ORACLE_CHUNK;
	const char *wrong;
	if (is_relay) {
		uint8_t *copy = pair_copy(piece, len);
		tracker_read_relay(&replay->pair.tracker, copy, len, tell, replay);
		free(copy);
		for (size_t i = 0; i < len; i++)
			oracle_relay_byte(&replay->pair.oracle, piece[i]);
		wrong = pair_compare(&replay->pair);
	} else {
		wrong = pair_read_client(&replay->pair, piece, len);
		ck_assert(
			!pair_runs_ahead(before, tracker_place(&replay->pair.tracker), was_chunk));
	}
	ck_assert_msg(!wrong, "%s: %s at byte %zu, cut at %zu", replay->name, wrong, replay->fed,
		replay->cut);
}

static void
feed(struct replay *replay, bool is_relay, const char *bytes, size_t len)
{
	for (size_t at = 0; at < len;) {
		size_t piece_len = len - at < replay->piece_max ? len - at : replay->piece_max;
		if (replay->cut > replay->fed && replay->cut - replay->fed < piece_len)
			piece_len = replay->cut - replay->fed;
		feed_piece(replay, is_relay, bytes + at, piece_len);
		replay->fed += piece_len;
		at += piece_len;
	}
}

/* Adds a line's text to bytes. Returns their length. */
static size_t
unescape(char *bytes, size_t len, const char *line, size_t line_len)
{
	for (size_t i = 3; i < line_len; i++) {
		bool is_escape = line[i] == '%';
		i += is_escape;
		char byte = line[i];
		if (is_escape)
			byte = byte == 'r'   ? '\r'
			       : byte == 'n' ? '\n'
			       : byte == '0' ? '\0'
					     : '\xFF';
		bytes[len++] = byte;
	}
	if (line[0] == 'C' || line[0] == 'S') {
		bytes[len++] = '\r';
		bytes[len++] = '\n';
	}
	return len;
}

static void
expect(struct replay *replay, const char *line, size_t len)
{
	char found[64];
	const struct tracker *tracker = &replay->pair.tracker;
	if (line[0] == '=') {
		snprintf(found, sizeof(found), "= %s%s", place_names[tracker_place(tracker)],
			opaque_names[tracker->opaque]);
	} else {
		ck_assert_msg(replay->told_seen < replay->told_count, "%s: nothing told, not %.*s",
			replay->name, (int)len, line);
		snprintf(found, sizeof(found), "> %s", replay->told[replay->told_seen++]);
	}
	ck_assert_msg(strlen(found) == len && memcmp(found, line, len) == 0,
		"%s: %s, not %.*s; byte %zu, cut at %zu", replay->name, found, (int)len, line,
		replay->fed, replay->cut);
}

/* Lines of one side with nothing between them pass as one piece. */
static void
play(struct replay *replay, const struct dialogue *dialogue, size_t cut, size_t piece_max)
{
	*replay = (struct replay){.name = dialogue->name, .cut = cut, .piece_max = piece_max};
	pair_init(&replay->pair);
	char bytes[4096], side = '\0';
	size_t len = 0;
	for (const char *line = dialogue->text; *line; line += strcspn(line, "\n") + 1) {
		size_t line_len = strcspn(line, "\n");
		char next = (char)(line[0] | 0x20);
		if (next != side) {
			feed(replay, side == 's', bytes, len);
			len = 0;
		}
		side = next;
		if (strchr("CcSs", line[0]))
			len = unescape(bytes, len, line, line_len);
		else
			expect(replay, line, line_len);
	}
	feed(replay, side == 's', bytes, len);
	const struct tracker *tracker = &replay->pair.tracker;
	for (int i = 0; i < OUTCOMES; i++) {
		ck_assert_uint_eq(tracker->messages[i], dialogue->messages[i]);
		ck_assert_uint_eq(tracker->recipients[i], dialogue->recipients[i]);
	}
	ck_assert_uint_eq(replay->told_seen, replay->told_count);
	pair_fini(&replay->pair);
}

START_TEST(dialogue)
{
	static struct replay replay;
	const struct dialogue *it = &dialogues[_i];
	play(&replay, it, 0, SIZE_MAX);
	size_t total = replay.fed;
	for (size_t cut = 1; cut < total; cut++)
		play(&replay, it, cut, SIZE_MAX);
	play(&replay, it, 0, 1);
}
END_TEST

static void
ignore(void *context, enum verb verb, const struct reply_status *status)
{
	(void)context;
	(void)verb;
	(void)status;
}

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static size_t
client(struct tracker *tracker, const char *text)
{
	return tracker_read_client(tracker, (const uint8_t *)text, strlen(text));
}

static void
relay(struct tracker *tracker, const char *text)
{
	tracker_read_relay(tracker, (const uint8_t *)text, strlen(text), ignore, NULL);
}

START_TEST(stops_at_mail)
{
	struct tracker tracker;
	tracker_init(&tracker);
	tracker_hold(&tracker, HOLD_MAIL);
	ck_assert_uint_eq(client(&tracker, "EHLO a\r\n"), 8);
	relay(&tracker, "250 relay1\r\n");
	/* Whole, and as often as it is asked. */
	for (int i = 0; i < 2; i++) {
		ck_assert_uint_eq(client(&tracker, "NOOP\r\n mail from:<>\r\n"), 6);
		ck_assert_uint_eq(client(&tracker, " mail from:<>\r\n"), 0);
		ck_assert_int_eq(tracker_place(&tracker), TRACKER_BUSY);
		relay(&tracker, "250 2.0.0 Ok\r\n");
		ck_assert_int_eq(tracker_place(&tracker), TRACKER_BETWEEN);
	}
	/* Its start has passed. */
	ck_assert_uint_eq(client(&tracker, "MAIL"), 4);
	ck_assert_int_eq(tracker_place(&tracker), TRACKER_BUSY);
	ck_assert_uint_eq(client(&tracker, " FROM:<>\r\n"), 0);
	ck_assert_int_eq(tracker_place(&tracker), TRACKER_BETWEEN);
	ck_assert_uint_eq(client(&tracker, " FROM"), 0);
	/* One passes, the next does not. */
	tracker_pass_mail(&tracker);
	ck_assert_uint_eq(client(&tracker, " FROM:<>\r\nBDAT 1 LAST\r\nxMAIL\r\n"), 24);
	ck_assert_int_eq(tracker_place(&tracker), TRACKER_AFTER_DOT);
	relay(&tracker, "250 2.1.0 Ok\r\n");
	ck_assert_uint_eq(client(&tracker, "MAIL\r\n"), 0);
	relay(&tracker, "250 2.0.0 Ok\r\n");
	ck_assert_int_eq(tracker_place(&tracker), TRACKER_BETWEEN);
	ck_assert_uint_eq(client(&tracker, "MAIL\r\n"), 0);
	/* No more. */
	tracker_hold(&tracker, HOLD_NONE);
	ck_assert_uint_eq(client(&tracker, "MAIL\r\n"), 6);
	tracker_fini(&tracker);
}
END_TEST

/* The relay refuses a second MAIL by itself; where the transaction may have ended it is held. */
START_TEST(passes_mail_in_a_transaction)
{
	struct tracker tracker;
	tracker_init(&tracker);
	client(&tracker, "MAIL FROM:<>\r\n");
	relay(&tracker, "250 2.1.0 Ok\r\n");
	tracker_hold(&tracker, HOLD_MAIL);
	ck_assert_uint_eq(client(&tracker, "MAIL FROM:<>\r\n"), 14);
	relay(&tracker, "503 5.5.1 Error: nested MAIL command\r\n");
	ck_assert_int_eq(tracker_place(&tracker), TRACKER_TRANSACTION);
	ck_assert_uint_eq(client(&tracker, "RSET\r\nMAIL FROM:<>\r\n"), 6);
	ck_assert_int_eq(tracker_place(&tracker), TRACKER_TRANSACTION);
	relay(&tracker, "250 2.0.0 Ok\r\n");
	ck_assert_int_eq(tracker_place(&tracker), TRACKER_BETWEEN);
	ck_assert_uint_eq(client(&tracker, "MAIL FROM:<>\r\n"), 0);
	/* What has been read before it was to be held is not. */
	tracker_hold(&tracker, HOLD_NONE);
	ck_assert_uint_eq(client(&tracker, "MAIL "), 5);
	tracker_hold(&tracker, HOLD_MAIL);
	ck_assert_uint_eq(client(&tracker, "FROM:<>\r\n"), 9);
	ck_assert_int_eq(tracker_place(&tracker), TRACKER_TRANSACTION);
	tracker_fini(&tracker);
}
END_TEST

static const struct {
	enum tracker_hold holds;
	const char *stops, *passes;
} held[] = {
	{HOLD_MAIL, "MAIL FROM:<>\r\n", "STARTTLS\r\n"},
	{HOLD_STARTTLS, "MAIL FROM:<>\r\n", "AUTH PLAIN\r\n"},
	{HOLD_STARTTLS, "starttls\r\n", "STARTTLSX\r\n"},
	{HOLD_AUTH, "STARTTLS\r\n", "NOOP\r\n"},
	{HOLD_AUTH, "AUTH LOGIN\r\n", "AUTHS\r\n"},
	{HOLD_AUTH, "MAIL\r\n", "MAILS\r\n"},
};

START_TEST(stops_at_what_is_held)
{
	struct tracker tracker;
	tracker_init(&tracker);
	tracker_hold(&tracker, held[_i].holds);
	ck_assert_uint_eq(client(&tracker, held[_i].stops), 0);
	ck_assert_int_eq(tracker_place(&tracker), TRACKER_BETWEEN);
	tracker_fini(&tracker);
	tracker_init(&tracker);
	tracker_hold(&tracker, held[_i].holds);
	ck_assert_uint_eq(client(&tracker, held[_i].passes), strlen(held[_i].passes));
	ck_assert_int_eq(tracker_place(&tracker), TRACKER_BUSY);
	tracker_fini(&tracker);
}
END_TEST

static const struct {
	const char *text;
	size_t unread;
} unread[] = {
	{"NOOP\r\nSTAR", 4},
	{"NOOP\r\n  mail", 4},
	{"STARTTLS", 8},
	{"STARTTLSX", 0},
	{"RCPT ", 0},
	{"RCPT T", 0},
	{"XM", 0},
	{"NOOP\r\n", 0},
	{"NOOP\r\n ", 0},
	{"DATA\r\n", 0},
};

/* What is unread is as if it had not come, and comes again. */
START_TEST(unread_words)
{
	struct tracker tracker;
	tracker_init(&tracker);
	tracker_hold(&tracker, HOLD_STARTTLS);
	size_t len = strlen(unread[_i].text), word = unread[_i].unread;
	ck_assert_uint_eq(client(&tracker, unread[_i].text), len);
	ck_assert_uint_eq(tracker_unread_word(&tracker), word);
	ck_assert_uint_eq(tracker_unread_word(&tracker), 0);
	if (word > 0 && tracker_awaited(&tracker) == VERB_NONE)
		ck_assert_int_eq(tracker_place(&tracker), TRACKER_BETWEEN);
	ck_assert_uint_eq(client(&tracker, unread[_i].text + len - word), word);
	ck_assert_uint_eq(tracker_unread_word(&tracker), word);
	tracker_fini(&tracker);
}
END_TEST

START_TEST(one_reply_after_the_other)
{
	static const char replies[] = "250-a\r\n250 b\r\n502 c\r\n2";
	struct tracker tracker;
	tracker_init(&tracker);
	ck_assert_int_eq(tracker_awaited(&tracker), VERB_NONE);
	client(&tracker, "EHLO a\r\nNOOP\r\nRSET\r\n");
	static const struct {
		size_t len;
		enum verb awaited;
		bool whole;
	} steps[] = {{14, VERB_EHLO, true}, {7, VERB_NOOP, true}, {1, VERB_RSET, false}};
	size_t at = 0;
	for (size_t i = 0; i < COUNT(steps); i++) {
		bool whole;
		ck_assert_int_eq(tracker_awaited(&tracker), steps[i].awaited);
		ck_assert(!tracker_is_in_reply(&tracker));
		size_t taken = tracker_read_reply(&tracker, (const uint8_t *)replies + at,
			strlen(replies) - at, &whole, ignore, NULL);
		ck_assert_uint_eq(taken, steps[i].len);
		ck_assert_int_eq(whole, steps[i].whole);
		at += taken;
	}
	ck_assert(tracker_is_in_reply(&tracker));
	ck_assert_int_eq(tracker_awaited(&tracker), VERB_RSET);
	relay(&tracker, "x\r\n");
	ck_assert_int_eq(tracker_awaited(&tracker), VERB_NONE);
	tracker_fini(&tracker);
}
END_TEST

START_TEST(too_many_outstanding)
{
	for (int more = 0; more < 2; more++) {
		struct pair pair;
		pair_init(&pair);
		for (int i = 0; i < PIPELINE_MAX + more; i++)
			ck_assert_ptr_null(pair_read_client(&pair, i % 2 ? "NOOP\n" : "RSET\n", 5));
		ck_assert_int_eq(pair.tracker.opaque, more ? OPAQUE_PIPELINE : OPAQUE_NOT);
		for (int i = 0; i < PIPELINE_MAX; i++)
			ck_assert_ptr_null(pair_read_relay(&pair, "250\n", 4));
		ck_assert_int_eq(
			tracker_place(&pair.tracker), more ? TRACKER_OPAQUE : TRACKER_BETWEEN);
		pair_fini(&pair);
	}
}
END_TEST

/* What both sides might say, the likely first. */
static const char *const client_words[] = {"MAIL FROM:<a>\r\n", "RCPT TO:<b>\r\n", "DATA\r\n",
	"\r\n.\r\n", "x", "QUIT\r\n", "BDAT 1 LAST\r\nx", "BDAT 2\r\n", "RSET\r\n", "EHLO a\r\n",
	"NOOP\n", ".\r\n", "AUTH LOGIN\r\n", "*\r\n", "ma", "BDAT 0 LAST\r\n", "\r\n",
	"STARTTLS\r\n", "BDAT x\r\n"};
static const char *const relay_words[] = {"250 2.1.0 Ok\r\n", "250-a\r\n", "354 go\r\n",
	"550 5.1.1 no\r\n", "450 4.2.1\r\n", "334 x\r\n", "250\n", "2", "503 no\r\n",
	"421 4.3.2 bye\r\n", "220 go\r\n", "x"};

/* What a relay would say to the oracle's next command, or any word. */
static const char *
choose_reply(const struct oracle *oracle, uint64_t *random)
{
	if (random_below(random, 8) == 0)
		return relay_words[random_below(random, COUNT(relay_words))];
	enum verb verb = oracle->waiting[oracle->answered % (PIPELINE_MAX + 1)];
	if (random_below(random, 4) == 0)
		return "450 4.2.1 later\r\n";
	return verb == VERB_DATA ? "354 go\r\n" : "250 2.0.0 Ok\r\n";
}

START_TEST(random_dialogues)
{
	enum { ROUNDS = 20000, TURNS = 40 };
	uint64_t random = 5321;
	unsigned places[TRACKER_OPAQUE + 1] = {0};
	for (int round = 0; round < ROUNDS; round++) {
		static struct pair pair;
		pair_init(&pair);
		tracker_hold(&pair.tracker, round % 2 ? HOLD_MAIL : HOLD_NONE);
		const char *wrong = NULL;
		for (int turn = 0; turn < TURNS && !pair.tracker.opaque && !wrong; turn++) {
			bool waits = oracle_waits(&pair.oracle);
			if (waits && random_below(&random, 4)) {
				const char *word = choose_reply(&pair.oracle, &random);
				wrong = pair_read_relay(&pair, word, strlen(word));
			} else if (pair.oracle.reads != ORACLE_NOTHING) {
				const char *word = client_words[random_below(
					&random, 1 + random_below(&random, COUNT(client_words)))];
				wrong = pair_read_client(&pair, word, strlen(word));
			}
			places[tracker_place(&pair.tracker)]++;
		}
		ck_assert_msg(!wrong, "round %d: %s", round, wrong);
		pair_fini(&pair);
	}
	for (int place = 0; place <= TRACKER_OPAQUE; place++)
		ck_assert_uint_gt(places[place], ROUNDS / 10);
}
END_TEST

/* What the client and the relay said in turn, and whether it is over then. */
static const struct {
	const char *client, *relay;
	bool over;
} ends[] = {
	{"QUIT\r\n", "221 bye\r\n", true},
	{"NOOP\r\nQUIT\r\n", "250 ok\r\n221-bye\r\n221 bye\r\n", true},
	{"QUIT\r\n", "", false},
	{"QUIT\r\n", "221 bye", false},
	{"QUIT\r\n", "502 no\r\n", false},
	{"NOOP\r\n", "250 ok\r\n", false},
	{"NOOP\r\n", "421 bye\r\n", false},
	{"QUIT\r\nN", "221 bye\r\n", false},
	{"QUIT\r\nNOOP\r\n", "221 bye\r\n", false},
	{"QUIT\r\nNOOP\r\n", "221 bye\r\n250 ok\r\n", true},
	{"QUIT\r\n", "221 bye\r\n4", false},
	{"QUIT\r\n", "221 bye\r\n250 surplus\r\n", false},
};

START_TEST(over)
{
	struct tracker tracker;
	const char *client = ends[_i].client, *relay = ends[_i].relay;
	tracker_init(&tracker);
	ck_assert(!tracker_is_over(&tracker));
	tracker_read_client(&tracker, (const uint8_t *)client, strlen(client));
	ck_assert(!tracker_is_over(&tracker));
	tracker_read_relay(&tracker, (const uint8_t *)relay, strlen(relay), ignore, NULL);
	ck_assert_int_eq(tracker_is_over(&tracker), ends[_i].over);
	tracker_fini(&tracker);
}
END_TEST

static void
fill(TCase *cases)
{
	tcase_add_loop_test(cases, dialogue, 0, COUNT(dialogues));
	tcase_add_loop_test(cases, over, 0, COUNT(ends));
	tcase_add_test(cases, stops_at_mail);
	tcase_add_test(cases, passes_mail_in_a_transaction);
	tcase_add_loop_test(cases, stops_at_what_is_held, 0, COUNT(held));
	tcase_add_loop_test(cases, unread_words, 0, COUNT(unread));
	tcase_add_test(cases, one_reply_after_the_other);
	tcase_add_test(cases, too_many_outstanding);
	tcase_add_test(cases, random_dialogues);
}

UNIT_MAIN("tracker", fill)

/*
 * Pairs commands and replies. Of the client's bytes the mode says what they are: command lines
 * until one changes that; of the relay's all are replies.
 */
#include "lb/tracker.h"

#include <string.h>

/* What the client's next bytes are. */
enum mode {
	MODE_COMMAND,
	/* Nothing, before DATA, AUTH or STARTTLS is answered: they end a group of commands, since
	 * the reply says what comes next (RFC 2920 section 3.1). Bytes that come all the same may
	 * be either, and can't be held back. */
	MODE_AWAIT,
	MODE_BODY,     /* mail data up to the final dot */
	MODE_CHUNK,    /* behind BDAT: as many bytes as it said, whatever they are (RFC 3030) */
	MODE_RESPONSE, /* a line that answers the relay's challenge (RFC 4954 section 4) */
	MODE_OPAQUE,
};

enum {
	CODE_GOODBYE = 421,
	CLASS_UNIT = 100, /* 250 is of class 2 */
};

void
tracker_init(struct tracker *tracker)
{
	memset(tracker, 0, sizeof(*tracker));
	command_init(&tracker->command);
	reply_reader_init(&tracker->reply);
	pipeline_init(&tracker->pipeline);
}

void
tracker_fini(struct tracker *tracker)
{
	pipeline_fini(&tracker->pipeline);
}

void
tracker_hold(struct tracker *tracker, enum tracker_hold holds)
{
	tracker->holds = (uint8_t)(holds & 3U);
}

size_t
tracker_unread_word(struct tracker *tracker)
{
	if (tracker->mode != MODE_COMMAND)
		return 0;
	size_t len = command_word_len(&tracker->command);
	if (len > 0)
		command_init(&tracker->command);
	return len;
}

enum verb
tracker_awaited(const struct tracker *tracker)
{
	if (tracker->mode == MODE_OPAQUE || pipeline_is_empty(&tracker->pipeline))
		return VERB_NONE;
	return pipeline_first(&tracker->pipeline);
}

void
tracker_pass_mail(struct tracker *tracker)
{
	tracker->pass = true;
}

static void
become_opaque(struct tracker *tracker, enum tracker_opaque why)
{
	tracker->mode = MODE_OPAQUE;
	tracker->opaque = (uint8_t)why;
	pipeline_fini(&tracker->pipeline);
}

static void
await_command(struct tracker *tracker)
{
	tracker->mode = MODE_COMMAND;
	command_init(&tracker->command);
}

/* A reply to this is outstanding from now on. */
static void
expect(struct tracker *tracker, enum verb verb)
{
	if (pipeline_push(&tracker->pipeline, verb) < 0)
		become_opaque(tracker, OPAQUE_PIPELINE);
}

/* The client's side. */

/* A relay that refuses a chunk has to take it all the same before it says so (RFC 3030 section 2).
 * If it said so earlier nothing is outstanding now, as nothing was sent behind the chunk. */
static void
end_chunk(struct tracker *tracker)
{
	if (tracker->command.verb == VERB_BDAT_LAST && !pipeline_is_empty(&tracker->pipeline))
		tracker->finals++;
	await_command(tracker);
}

/* A command line is whole: what comes behind it? */
static void
end_command(struct tracker *tracker)
{
	enum verb verb = tracker->command.verb;
	if (tracker->command.malformed) {
		become_opaque(tracker, OPAQUE_BDAT);
		return;
	}
	if (verb == VERB_BDAT || verb == VERB_BDAT_LAST)
		tracker->mode = MODE_CHUNK;
	else
		await_command(tracker);
	if (verb == VERB_DATA || verb == VERB_AUTH || verb == VERB_STARTTLS)
		tracker->mode = MODE_AWAIT;
	if (verb == VERB_MAIL)
		tracker->mails++;
	expect(tracker, verb);
	if (tracker->mode == MODE_CHUNK && tracker->command.size == 0)
		end_chunk(tracker);
}

/* A MAIL within a transaction is refused by the relay (RFC 5321 section 4.1.4), unless what is
 * outstanding ends that one. */
static bool
stops_at_mail(struct tracker *tracker)
{
	bool passes = tracker->pass || (tracker->open && pipeline_is_empty(&tracker->pipeline));
	tracker->pass = false;
	return tracker->holds >= HOLD_MAIL && !passes;
}

/* Whether to stop at the command of which more was read since `before`. */
static bool
stops_at(struct tracker *tracker, const struct command *before)
{
	const struct command *command = &tracker->command;
	if (command_is_known(before) || !command_is_known(command))
		return false;
	if (command->verb == VERB_MAIL)
		return stops_at_mail(tracker);
	if (command->verb == VERB_STARTTLS)
		return tracker->holds >= HOLD_STARTTLS;
	return command->verb == VERB_AUTH && tracker->holds >= HOLD_AUTH;
}

static size_t
read_command(struct tracker *tracker, const uint8_t *bytes, size_t len)
{
	struct command before = tracker->command;
	size_t taken = command_feed(&tracker->command, bytes, len);
	if (stops_at(tracker, &before)) {
		tracker->command = before;
		tracker->held = true;
		return 0;
	}
	if (taken == 0)
		return len;
	end_command(tracker);
	return taken;
}

/* "*", which gives the exchange up, is a line like any other (RFC 4954 section 4). */
static size_t
read_response(struct tracker *tracker, const uint8_t *bytes, size_t len)
{
	const uint8_t *lf = memchr(bytes, '\n', len);
	if (!lf)
		return len;
	tracker->mode = MODE_AWAIT;
	expect(tracker, VERB_AUTH);
	return (size_t)(lf - bytes) + 1;
}

static size_t
read_body(struct tracker *tracker, const uint8_t *bytes, size_t len)
{
	size_t taken = body_scan(&tracker->body, bytes, len);
	if (taken == 0)
		return len;
	await_command(tracker);
	tracker->finals++;
	expect(tracker, VERB_DOT);
	return taken;
}

static size_t
read_chunk(struct tracker *tracker, size_t len)
{
	uint64_t left = tracker->command.size;
	size_t taken = len < left ? len : (size_t)left;
	tracker->command.size -= taken;
	if (tracker->command.size == 0)
		end_chunk(tracker);
	return taken;
}

/* Reads bytes of one kind. Returns how many, 0 when it stops at a MAIL. */
static size_t
read_some(struct tracker *tracker, const uint8_t *bytes, size_t len)
{
	switch ((enum mode)tracker->mode) {
	case MODE_COMMAND:
		return read_command(tracker, bytes, len);
	case MODE_AWAIT:
		become_opaque(tracker, OPAQUE_AHEAD);
		return len;
	case MODE_BODY:
		return read_body(tracker, bytes, len);
	case MODE_CHUNK:
		return read_chunk(tracker, len);
	case MODE_RESPONSE:
		return read_response(tracker, bytes, len);
	case MODE_OPAQUE:
		return len;
	}
	return len;
}

size_t
tracker_read_client(struct tracker *tracker, const uint8_t *bytes, size_t len)
{
	size_t at = 0;
	tracker->held = false;
	while (at < len && !tracker->held)
		at += read_some(tracker, bytes + at, len - at);
	return at;
}

/* The relay's side. */

static void
count(uint32_t counts[OUTCOMES], unsigned class)
{
	static const enum outcome outcomes[] = {
		[2] = OUTCOME_ACCEPTED, [4] = OUTCOME_DEFERRED, [5] = OUTCOME_REJECTED};
	counts[outcomes[class]]++;
}

/* A final dot or last BDAT ends its transaction whatever the reply (RFC 5321 section 4.1.1.4, RFC
 * 3030 section 2). */
static void
end_message(struct tracker *tracker, unsigned class)
{
	count(tracker->messages, class);
	tracker->open = false;
	if (tracker->finals > 0)
		tracker->finals--;
}

/* 3xx: the relay waits for what the command announced. A client goes by the first digit (RFC 5321
 * section 4.3.2 and 4.2). */
static void
go_on(struct tracker *tracker, enum verb verb)
{
	if (verb == VERB_DATA) {
		tracker->mode = MODE_BODY;
		body_init(&tracker->body);
	} else if (verb == VERB_AUTH) {
		tracker->mode = MODE_RESPONSE;
	} else {
		become_opaque(tracker, OPAQUE_INTERMEDIATE);
	}
}

/* 2xx: the relay did it. A recipient is taken only within a transaction, whatever its MAIL looked
 * like to us. HELO, EHLO, RSET and QUIT end it: RFC 5321 sections 4.1.1.1, 4.1.1.5 and 4.1.1.10.
 * Behind STARTTLS all is TLS: RFC 3207 section 4. */
static void
succeed(struct tracker *tracker, enum verb verb)
{
	if (verb == VERB_MAIL || verb == VERB_RCPT)
		tracker->open = true;
	else if (verb == VERB_HELO || verb == VERB_EHLO || verb == VERB_RSET || verb == VERB_QUIT)
		tracker->open = false;
	else if (verb == VERB_STARTTLS)
		become_opaque(tracker, OPAQUE_STARTTLS);
	if (verb == VERB_QUIT)
		tracker->goodbye = tracker->quit = true;
}

/* A command was answered, with other than 3xx. */
static void
finish(struct tracker *tracker, enum verb verb, unsigned class)
{
	if (tracker->mode == MODE_AWAIT && pipeline_is_empty(&tracker->pipeline))
		await_command(tracker);
	if (verb == VERB_MAIL)
		tracker->mails--;
	if (verb == VERB_RCPT)
		count(tracker->recipients, class);
	if (verb == VERB_DOT || verb == VERB_BDAT_LAST)
		end_message(tracker, class);
	if (class == 2)
		succeed(tracker, verb);
}

/* A reply is whole. 421 may come at any time, and the relay closes behind it (RFC 5321 sections 3.8
 * and 4.2.3). */
static void
take_reply(struct tracker *tracker, tracker_tell *tell, void *context)
{
	struct reply_status status = tracker->reply.status;
	reply_reader_init(&tracker->reply);
	tracker->last = status;
	enum verb verb = VERB_NONE;
	if (!pipeline_is_empty(&tracker->pipeline)) {
		verb = pipeline_pop(&tracker->pipeline);
		unsigned class = status.code / CLASS_UNIT;
		if (class == 3)
			go_on(tracker, verb);
		else
			finish(tracker, verb, class);
	} else if (status.code != CODE_GOODBYE) {
		become_opaque(tracker, OPAQUE_SURPLUS);
		return;
	}
	if (status.code == CODE_GOODBYE)
		tracker->goodbye = true;
	tell(context, verb, &status);
}

bool
tracker_is_in_reply(const struct tracker *tracker)
{
	return reply_reader_is_begun(&tracker->reply);
}

size_t
tracker_read_reply(struct tracker *tracker, const uint8_t *bytes, size_t len, bool *whole,
	tracker_tell *tell, void *context)
{
	*whole = false;
	if (tracker->mode == MODE_OPAQUE)
		return len;
	ssize_t taken = reply_reader_feed(&tracker->reply, bytes, len);
	if (taken < 0)
		become_opaque(tracker, OPAQUE_REPLY);
	if (taken <= 0)
		return len;
	*whole = true;
	take_reply(tracker, tell, context);
	return (size_t)taken;
}

void
tracker_read_relay(struct tracker *tracker, const uint8_t *bytes, size_t len, tracker_tell *tell,
	void *context)
{
	bool whole;
	for (size_t at = 0; at < len;)
		at += tracker_read_reply(tracker, bytes + at, len - at, &whole, tell, context);
}

static bool
is_in_transaction(const struct tracker *tracker)
{
	return tracker->open || tracker->mails > 0 || tracker->mode == MODE_BODY ||
	       tracker->mode == MODE_CHUNK;
}

static bool
is_busy(const struct tracker *tracker)
{
	bool begun = command_is_begun(&tracker->command) && !tracker->held;
	return begun || tracker->goodbye || tracker->mode == MODE_RESPONSE ||
	       !pipeline_is_empty(&tracker->pipeline) || reply_reader_is_begun(&tracker->reply);
}

enum tracker_place
tracker_place(const struct tracker *tracker)
{
	if (tracker->mode == MODE_OPAQUE)
		return TRACKER_OPAQUE;
	if (tracker->finals > 0)
		return TRACKER_AFTER_DOT;
	if (is_in_transaction(tracker))
		return TRACKER_TRANSACTION;
	return is_busy(tracker) ? TRACKER_BUSY : TRACKER_BETWEEN;
}

bool
tracker_is_over(const struct tracker *tracker)
{
	return tracker->quit && tracker->mode != MODE_OPAQUE &&
	       !command_is_begun(&tracker->command) && pipeline_is_empty(&tracker->pipeline) &&
	       !reply_reader_is_begun(&tracker->reply);
}

uint32_t
tracker_messages(const struct tracker *tracker)
{
	const uint32_t *messages = tracker->messages;
	return messages[OUTCOME_ACCEPTED] + messages[OUTCOME_DEFERRED] + messages[OUTCOME_REJECTED];
}

static const char *const place_names[] = {
	[TRACKER_BETWEEN] = "between",
	[TRACKER_BUSY] = "busy",
	[TRACKER_TRANSACTION] = "transaction",
	[TRACKER_AFTER_DOT] = "after_dot",
	[TRACKER_OPAQUE] = "opaque",
};

const char *
tracker_place_name(enum tracker_place place)
{
	return place_names[place];
}

static const char *const opaque_names[] = {
	[OPAQUE_STARTTLS] = "starttls",
	[OPAQUE_AHEAD] = "ahead",
	[OPAQUE_BDAT] = "bdat",
	[OPAQUE_PIPELINE] = "pipeline",
	[OPAQUE_REPLY] = "reply",
	[OPAQUE_SURPLUS] = "surplus",
	[OPAQUE_INTERMEDIATE] = "intermediate",
};

const char *
tracker_opaque_name(enum tracker_opaque opaque)
{
	return opaque_names[opaque];
}

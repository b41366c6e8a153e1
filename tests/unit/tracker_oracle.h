/*
 * What the tracker must know, worked out naively: every byte is kept, and each line, reply and body
 * is looked at as a whole once it is complete, by string functions and a regular expression. The
 * outstanding commands are a plain list. So the two share no mistake. For the unit tests and the
 * fuzz target; what it is asked is compared by tracker_pair.h.
 */
#ifndef TESTS_UNIT_TRACKER_ORACLE_H
#define TESTS_UNIT_TRACKER_ORACLE_H

#include "lb/tracker.h"

#include <assert.h>
#include <errno.h>
#include <regex.h>
#include <stdlib.h>
#include <string.h>

enum oracle_reads { ORACLE_LINES, ORACLE_NOTHING, ORACLE_BODY, ORACLE_CHUNK, ORACLE_RESPONSE };

/* Bytes of one side that belong together; always a NUL behind them. */
struct oracle_text {
	char *bytes;
	size_t len, room;
};

struct oracle {
	struct oracle_text client; /* the line, body or chunk that has begun */
	struct oracle_text relay;  /* the reply that has begun, NULs in it replaced */
	size_t relay_line;         /* where its last line begins */
	enum oracle_reads reads;
	unsigned long long chunk_len;
	enum verb waiting[PIPELINE_MAX + 1];
	size_t asked, answered; /* of waiting: added and taken */
	bool chunk_is_asked;    /* the last one waiting is a BDAT whose chunk is not whole */
	bool open, goodbye;
	enum tracker_opaque opaque;
	uint32_t messages[6], recipients[6]; /* by the code's first digit */
	unsigned last[4];                    /* code, class, subject, detail */
	uint64_t told;                       /* all verbs and codes that were told, hashed */
};

static inline void
oracle_init(struct oracle *oracle)
{
	memset(oracle, 0, sizeof(*oracle));
}

static inline void
oracle_fini(struct oracle *oracle)
{
	free(oracle->client.bytes);
	free(oracle->relay.bytes);
}

static inline uint64_t
oracle_hash(uint64_t told, enum verb verb, unsigned code)
{
	return (told ^ (code * 32 + verb + 1)) * 0x9E3779B97F4A7C15u;
}

static inline void
oracle_append(struct oracle_text *text, char byte)
{
	if (text->len + 2 > text->room) {
		text->room = (text->room + 64) * 2;
		text->bytes = realloc(text->bytes, text->room);
		if (!text->bytes)
			abort();
	}
	text->bytes[text->len++] = byte;
	text->bytes[text->len] = '\0';
}

static inline void
oracle_clear(struct oracle_text *text)
{
	text->len = 0;
	if (text->bytes)
		text->bytes[0] = '\0';
}

static inline void
oracle_ask(struct oracle *oracle, enum verb verb)
{
	if (oracle->asked - oracle->answered == PIPELINE_MAX) {
		oracle->opaque = OPAQUE_PIPELINE;
		return;
	}
	oracle->waiting[oracle->asked++ % (PIPELINE_MAX + 1)] = verb;
}

static inline bool
oracle_waits(const struct oracle *oracle)
{
	return oracle->asked > oracle->answered;
}

/* "BDAT" and what stands behind it, in words. Returns OTHER for what can't be read. */
static inline enum verb
oracle_bdat(char *words[4], unsigned count, unsigned long long *len)
{
	if (count < 2 || count > 3 || words[1][strspn(words[1], "0123456789")])
		return VERB_OTHER;
	errno = 0;
	*len = strtoull(words[1], NULL, 10);
	/* The next digit would go past what a size can be. */
	if (errno || *len / 10 >= INT64_MAX / 10)
		return VERB_OTHER;
	if (count == 2)
		return VERB_BDAT;
	return strcasecmp(words[2], "LAST") == 0 ? VERB_BDAT_LAST : VERB_OTHER;
}

static inline void
oracle_command(struct oracle *oracle)
{
	char *line = strdup(oracle->client.bytes);
	char *words[4] = {NULL}, *rest = NULL;
	unsigned count = 0;
	for (char *word = strtok_r(line, " \t\v\f\r\n", &rest); word && count < 4;
		word = strtok_r(NULL, " \t\v\f\r\n", &rest))
		words[count++] = word;
	enum verb verb = VERB_OTHER;
	for (unsigned i = 0; i < COMMANDS && count > 0; i++)
		if (strcasecmp(words[0], verb_name(i)) == 0)
			verb = i;
	oracle->reads = verb == VERB_DATA || verb == VERB_AUTH || verb == VERB_STARTTLS
				? ORACLE_NOTHING
				: ORACLE_LINES;
	if (verb == VERB_BDAT) {
		verb = oracle_bdat(words, count, &oracle->chunk_len);
		oracle->reads = ORACLE_CHUNK;
		oracle->chunk_is_asked = true;
	}
	if (oracle->reads == ORACLE_CHUNK && verb == VERB_OTHER)
		oracle->opaque = OPAQUE_BDAT;
	else
		oracle_ask(oracle, verb);
	free(line);
}

static inline bool
oracle_ends_with(const struct oracle_text *text, const char *end)
{
	size_t len = strlen(end);
	return text->len >= len && memcmp(text->bytes + text->len - len, end, len) == 0;
}

static inline void
oracle_chunk_end(struct oracle *oracle)
{
	if (oracle->reads == ORACLE_CHUNK && oracle->client.len == oracle->chunk_len) {
		oracle->reads = ORACLE_LINES;
		oracle->chunk_is_asked = false;
		oracle_clear(&oracle->client);
	}
}

static inline void
oracle_client_byte(struct oracle *oracle, char byte)
{
	if (oracle->opaque)
		return;
	bool is_line = oracle->reads == ORACLE_LINES || oracle->reads == ORACLE_RESPONSE;
	/* In a line a NUL is a byte like any other, which no C string can have. */
	oracle_append(&oracle->client, byte || !is_line ? byte : '?');
	if (oracle->reads == ORACLE_NOTHING) {
		oracle->opaque = OPAQUE_AHEAD;
	} else if (is_line && byte == '\n') {
		bool is_command = oracle->reads == ORACLE_LINES;
		oracle->reads = ORACLE_NOTHING;
		if (is_command)
			oracle_command(oracle);
		else
			oracle_ask(oracle, VERB_AUTH);
		oracle_clear(&oracle->client);
	} else if (oracle->reads == ORACLE_BODY && oracle_ends_with(&oracle->client, "\r\n.\r\n")) {
		oracle->reads = ORACLE_LINES;
		oracle_ask(oracle, VERB_DOT);
		oracle_clear(&oracle->client);
	}
	if (!oracle->opaque)
		oracle_chunk_end(oracle);
}

static inline void
oracle_3xx(struct oracle *oracle, enum verb verb)
{
	if (verb == VERB_DATA) {
		oracle->reads = ORACLE_BODY;
		oracle_append(&oracle->client, '\r');
		oracle_append(&oracle->client, '\n');
	} else if (verb == VERB_AUTH) {
		oracle->reads = ORACLE_RESPONSE;
	} else {
		oracle->opaque = OPAQUE_INTERMEDIATE;
	}
}

static inline void
oracle_answer(struct oracle *oracle, enum verb verb, char class)
{
	if (class == '3') {
		oracle_3xx(oracle, verb);
		return;
	}
	bool ok = class == '2', final = verb == VERB_DOT || verb == VERB_BDAT_LAST;
	if (verb == VERB_DATA || verb == VERB_AUTH || verb == VERB_STARTTLS)
		oracle->reads = ORACLE_LINES;
	if (verb == VERB_RCPT)
		oracle->recipients[class - '0']++;
	if (final)
		oracle->messages[class - '0']++;
	if (ok && (verb == VERB_MAIL || verb == VERB_RCPT))
		oracle->open = true;
	if (final || (ok && (verb == VERB_HELO || verb == VERB_EHLO || verb == VERB_RSET ||
				    verb == VERB_QUIT)))
		oracle->open = false;
	if (ok && verb == VERB_QUIT)
		oracle->goodbye = true;
	if (ok && verb == VERB_STARTTLS)
		oracle->opaque = OPAQUE_STARTTLS;
}

/* Finds class, subject and detail as parts 1 to 3 of a reply's line. */
static inline bool
oracle_finds_enhanced(const char *line, regmatch_t parts[4])
{
	static regex_t enhanced;
	static bool is_compiled;
	if (!is_compiled && regcomp(&enhanced, "^... ([245])[.]([0-9]{1,3})[.]([0-9]{1,3})[ \r\n]",
				    REG_EXTENDED))
		abort();
	is_compiled = true;
	return regexec(&enhanced, line, 4, parts, 0) == 0 && line[0] == line[4];
}

/* The reply in relay is whole. */
static inline void
oracle_reply(struct oracle *oracle)
{
	const char *text = oracle->relay.bytes + oracle->relay_line;
	regmatch_t parts[4];
	memset(oracle->last, 0, sizeof(oracle->last));
	oracle->last[0] = (unsigned)atoi(text);
	if (oracle_finds_enhanced(text, parts))
		for (int i = 1; i <= 3; i++)
			oracle->last[i] = (unsigned)atoi(text + parts[i].rm_so);
	bool goodbye = oracle->last[0] == 421;
	enum verb verb = VERB_NONE;
	if (oracle_waits(oracle)) {
		verb = oracle->waiting[oracle->answered++ % (PIPELINE_MAX + 1)];
		oracle_answer(oracle, verb, text[0]);
	} else if (!goodbye) {
		oracle->opaque = OPAQUE_SURPLUS;
		return;
	}
	oracle->goodbye |= goodbye;
	oracle->told = oracle_hash(oracle->told, verb, oracle->last[0]);
}

/* Whether the last line of relay is the beginning of a reply's, or one. */
static inline bool
oracle_line_is_good(const struct oracle *oracle)
{
	const char *line = oracle->relay.bytes + oracle->relay_line;
	size_t len = oracle->relay.len - oracle->relay_line;
	size_t digits = len < 3 ? len : 3;
	if (strspn(line, "0123456789") < digits || !strchr("2345", line[0]))
		return false;
	if (memcmp(line, oracle->relay.bytes, digits) != 0)
		return false;
	if (len > 4 && line[3] == '\r' && line[4] != '\n')
		return false;
	return len < 4 || strchr(" -\r\n", line[3]);
}

static inline void
oracle_relay_byte(struct oracle *oracle, char byte)
{
	if (oracle->opaque)
		return;
	oracle_append(&oracle->relay, byte ? byte : '?');
	const char *text = oracle->relay.bytes + oracle->relay_line;
	if (!oracle_line_is_good(oracle)) {
		oracle->opaque = OPAQUE_REPLY;
	} else if (byte == '\n' && text[3] != '-') {
		oracle_reply(oracle);
		oracle_clear(&oracle->relay);
		oracle->relay_line = 0;
		return;
	} else if (byte == '\n') {
		oracle->relay_line = oracle->relay.len;
	}
	if (oracle->relay.len == REPLY_READER_MAX)
		oracle->opaque = OPAQUE_REPLY;
}

/* Where the session stands. */
static inline enum tracker_place
oracle_place(const struct oracle *oracle)
{
	if (oracle->opaque)
		return TRACKER_OPAQUE;
	bool mail = oracle->open || oracle->reads == ORACLE_BODY || oracle->reads == ORACLE_CHUNK;
	for (size_t i = oracle->answered; i < oracle->asked; i++) {
		enum verb verb = oracle->waiting[i % (PIPELINE_MAX + 1)];
		bool is_whole = !oracle->chunk_is_asked || i + 1 < oracle->asked;
		if (verb == VERB_DOT || (verb == VERB_BDAT_LAST && is_whole))
			return TRACKER_AFTER_DOT;
		mail |= verb == VERB_MAIL;
	}
	if (mail)
		return TRACKER_TRANSACTION;
	bool busy = oracle->goodbye || oracle->reads == ORACLE_RESPONSE || oracle->client.len > 0 ||
		    oracle->relay.len > 0 || oracle_waits(oracle);
	return busy ? TRACKER_BUSY : TRACKER_BETWEEN;
}

#endif

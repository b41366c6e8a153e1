/*
 * A tracker and its oracle, fed the same and compared after each piece. For the unit tests and the
 * fuzz target.
 */
#ifndef TESTS_UNIT_TRACKER_PAIR_H
#define TESTS_UNIT_TRACKER_PAIR_H

#include "tests/unit/tracker_oracle.h"

#include <ctype.h>

struct pair {
	struct tracker tracker;
	struct oracle oracle;
	uint64_t told;
	unsigned held; /* MAILs at which it stopped */
};

static inline void
pair_init(struct pair *pair)
{
	memset(pair, 0, sizeof(*pair));
	tracker_init(&pair->tracker);
	oracle_init(&pair->oracle);
}

static inline void
pair_fini(struct pair *pair)
{
	tracker_fini(&pair->tracker);
	oracle_fini(&pair->oracle);
}

/* What the two disagree on, NULL for nothing. */
static inline const char *
pair_compare(const struct pair *pair)
{
	const struct tracker *tracker = &pair->tracker;
	const struct oracle *oracle = &pair->oracle;
	static const int digits[OUTCOMES] = {2, 4, 5};
	if (tracker_place(tracker) != oracle_place(oracle))
		return "the place";
	if (tracker->opaque != oracle->opaque)
		return "why it is opaque";
	for (int i = 0; i < OUTCOMES; i++) {
		if (tracker->messages[i] != oracle->messages[digits[i]])
			return "the messages";
		if (tracker->recipients[i] != oracle->recipients[digits[i]])
			return "the recipients";
	}
	const struct reply_status *last = &tracker->last;
	if (last->code != oracle->last[0] || last->class != oracle->last[1] ||
		last->subject != oracle->last[2] || last->detail != oracle->last[3])
		return "the last reply";
	return pair->told == oracle->told ? NULL : "what was told";
}

/* A copy of its exact size, so that a sanitizer sees any read past it. */
static inline uint8_t *
pair_copy(const char *bytes, size_t len)
{
	uint8_t *copy = malloc(len);
	if (!copy)
		abort();
	memcpy(copy, bytes, len);
	return copy;
}

/* Whether a line that the oracle has the start of goes on as a MAIL. */
static inline bool
pair_is_mail(const struct oracle *oracle, const char *rest, size_t len)
{
	static const char mail[] = "MAIL";
	size_t begun = oracle->client.len, matched = 0;
	for (size_t i = 0; i < begun + len && matched < sizeof(mail) - 1; i++) {
		char byte = i < begun ? oracle->client.bytes[i] : rest[i - begun];
		if (matched == 0 && byte && strchr(" \t\v\f\r", byte))
			continue;
		if (toupper((unsigned char)byte) != mail[matched++])
			return false;
	}
	return matched == sizeof(mail) - 1;
}

/* Passes each MAIL at which the tracker stops. Returns what is wrong, NULL for nothing. */
static inline const char *
pair_read_client(struct pair *pair, const char *bytes, size_t len)
{
	struct oracle *oracle = &pair->oracle;
	size_t at = 0;
	while (at < len) {
		uint8_t *copy = pair_copy(bytes + at, len - at);
		size_t taken = tracker_read_client(&pair->tracker, copy, len - at);
		free(copy);
		for (size_t i = 0; i < taken; i++)
			oracle_client_byte(oracle, bytes[at + i]);
		at += taken;
		if (at == len)
			break;
		if (!pair_is_mail(oracle, bytes + at, len - at))
			return "it stopped where there is no MAIL";
		pair->held++;
		tracker_pass_mail(&pair->tracker);
	}
	return pair_compare(pair);
}

static inline void
pair_tell(void *context, enum verb verb, const struct reply_status *status)
{
	struct pair *pair = context;
	pair->told = oracle_hash(pair->told, verb, status->code);
}

static inline const char *
pair_read_relay(struct pair *pair, const char *bytes, size_t len)
{
	uint8_t *copy = pair_copy(bytes, len);
	tracker_read_relay(&pair->tracker, copy, len, pair_tell, pair);
	free(copy);
	for (size_t i = 0; i < len; i++)
		oracle_relay_byte(&pair->oracle, bytes[i]);
	return pair_compare(pair);
}

/* Only the relay's bytes end what was asked of it: those of the client lead to BETWEEN at most
 * behind a chunk that was answered before it was whole, and never from behind a final dot. */
static inline bool
pair_runs_ahead(enum tracker_place before, enum tracker_place after, bool was_chunk)
{
	if (before == TRACKER_AFTER_DOT)
		return after != TRACKER_AFTER_DOT && after != TRACKER_OPAQUE;
	return after == TRACKER_BETWEEN && before != TRACKER_BETWEEN && !was_chunk;
}

#endif

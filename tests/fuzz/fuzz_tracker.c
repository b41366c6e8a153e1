/*
 * Any two streams in any pieces and order: the tracker knows what its oracle works out, after each
 * piece, whether or not it stops at each MAIL, and never runs ahead of the relay. The input is a
 * dialogue that the client begins: a byte of 0xFF gives the word to the other side, 0xFE ends a
 * piece, 0xFD turns the stopping at MAIL on or off.
 */
#include "tests/unit/tracker_pair.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
	HOLD = 0xFD,
	CUT = 0xFE,
	TURN = 0xFF,
};

static void
feed(struct pair *pair, bool is_relay, const char *piece, size_t len)
{
	if (len == 0)
		return;
	enum tracker_place before = tracker_place(&pair->tracker);
	bool was_chunk = pair->oracle.reads == ORACLE_CHUNK;
	const char *wrong =
		is_relay ? pair_read_relay(pair, piece, len) : pair_read_client(pair, piece, len);
	if (wrong)
		abort();
	if (!is_relay && pair_runs_ahead(before, tracker_place(&pair->tracker), was_chunk))
		abort();
}

/* piece_max: pieces are no longer than that. */
static void
play(const uint8_t *data, size_t size, size_t piece_max)
{
	struct pair pair;
	pair_init(&pair);
	bool is_relay = false, hold = false;
	size_t start = 0;
	for (size_t at = 0; at <= size; at++) {
		bool is_sign = at < size && data[at] >= HOLD;
		if (at < size && !is_sign && at - start < piece_max)
			continue;
		feed(&pair, is_relay, (const char *)data + start, at - start);
		start = at + is_sign;
		if (is_sign && data[at] == TURN)
			is_relay = !is_relay;
		if (is_sign && data[at] == HOLD)
			tracker_hold(&pair.tracker, (hold = !hold) ? HOLD_MAIL : HOLD_NONE);
	}
	pair_fini(&pair);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	play(data, size, size + 1);
	play(data, size, 1);
	return 0;
}

/*
 * Any bytes as a greeting: the same result in any split, the oracle's result, and a first line
 * that is a string. The first byte of the input chooses the sizes of the pieces.
 */
#include "lb/wire/greeting.h"

#include "tests/unit/greeting_oracle.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static ssize_t
feed(struct greeting *greeting, const uint8_t *input, size_t len, size_t piece_len)
{
	greeting_init(greeting);
	for (size_t at = 0; at < len; at += piece_len) {
		size_t left = len - at;
		ssize_t taken =
			greeting_feed(greeting, input + at, left < piece_len ? left : piece_len);
		if (taken != 0)
			return taken < 0 ? -1 : (ssize_t)at + taken;
	}
	return 0;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 2)
		return 0;
	const uint8_t *input = data + 1;
	size_t len = size - 1;
	struct greeting whole, pieces;
	ssize_t result = feed(&whole, input, len, len);
	if (result != oracle_read(input, len))
		abort();
	if (result != feed(&pieces, input, len, data[0] + 1U))
		abort();
	if (whole.code != pieces.code || whole.total != pieces.total || whole.code > 999)
		abort();
	if (memcmp(whole.line, pieces.line, sizeof(whole.line)) != 0)
		abort();
	if (strnlen(whole.line, sizeof(whole.line)) > GREETING_LINE_MAX)
		abort();
	return 0;
}

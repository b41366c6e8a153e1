/*
 * Any bytes as a server's answers to EHLO and STARTTLS: nobody goes into TLS that was not offered
 * it and told to, and pieces of any size say the same where each holds no more than one reply. The
 * first byte of the input chooses the size of the pieces.
 */
#include "lb/wire/upgrade.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static enum upgrade_step
feed(const uint8_t *input, size_t len, size_t piece_len)
{
	struct upgrade upgrade;
	enum upgrade_step step = UPGRADE_WAIT;
	upgrade_init(&upgrade);
	for (size_t at = 0; at < len && (step == UPGRADE_WAIT || step == UPGRADE_ASK);
		at += piece_len) {
		size_t left = len - at;
		step = upgrade_feed(&upgrade, input + at, left < piece_len ? left : piece_len);
	}
	return step;
}

static int
has(const uint8_t *input, size_t len, const char *word)
{
	size_t word_len = strlen(word);
	for (size_t at = 0; at + word_len <= len; at++) {
		if (strncasecmp((const char *)input + at, word, word_len) == 0)
			return 1;
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
	enum upgrade_step by_byte = feed(input, len, 1);
	enum upgrade_step step = feed(input, len, data[0] + 1U);
	bool is_told =
		has(input, len, "STARTTLS") && has(input, len, "250") && has(input, len, "220");
	if ((step == UPGRADE_READY || by_byte == UPGRADE_READY) && !is_told)
		abort();
	if (step != by_byte && step != UPGRADE_MALFORMED)
		abort();
	return 0;
}

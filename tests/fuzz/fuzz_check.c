/*
 * Any bytes as the answer to an smtp or http check: the verdict falls at most once, is the same in
 * any split, and its detail is one line of printable text. The first byte of the input chooses the
 * kind and the sizes of the pieces.
 */
#include "health/check.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct status_range wanted = {200, 299};
static const struct check_conf confs[] = {
	{.type = CHECK_SMTP},
	{.type = CHECK_HTTP, .path = "/", .host = "", .status = &wanted, .status_count = 1},
};

/* Returns after how many bytes the verdict fell, 0 when it did not. */
static size_t
answer(struct check *check, const struct check_conf *conf, const uint8_t *input, size_t len,
	size_t piece_len)
{
	const struct check_scene scene = {.remote.addr.family = ADDR_V4};
	check_init(check, conf);
	if (check->kind->begin(check, &scene) < 0)
		abort();
	for (size_t at = 0; at < len; at += piece_len) {
		size_t left = len - at;
		if (left > piece_len)
			left = piece_len;
		if (check->kind->feed(check, input + at, left) == CHECK_DECIDED)
			return at + left;
	}
	return 0;
}

static void
examine(const struct check *check)
{
	size_t len = strnlen(check->detail, sizeof(check->detail));
	if (len == 0 || len == sizeof(check->detail))
		abort();
	for (size_t i = 0; i < len; i++) {
		if (check->detail[i] < ' ' || check->detail[i] > '~')
			abort();
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 2)
		return 0;
	const struct check_conf *conf = &confs[data[0] % 2];
	const uint8_t *input = data + 1;
	size_t len = size - 1;
	struct check whole, pieces;
	size_t at_once = answer(&whole, conf, input, len, len);
	size_t in_pieces = answer(&pieces, conf, input, len, data[0] / 2 + 1U);
	if ((at_once > 0) != (in_pieces > 0) || whole.cause != pieces.cause)
		abort();
	if (at_once > 0) {
		examine(&whole);
		examine(&pieces);
	}
	check_fini(&whole);
	check_fini(&pieces);
	return 0;
}

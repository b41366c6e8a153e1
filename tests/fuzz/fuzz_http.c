/*
 * The http probe's reply reader: an input is what a server sends. Whole, byte by byte and in
 * uneven pieces it must come to the same end, and what it takes for a header must look like one.
 */
#include "health/http.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct outcome {
	ssize_t taken; /* in all; 0 = more is needed, -1 = malformed */
	unsigned status;
	const char *why;
};

/* Feeds pieces of 1, 1 + step, 1 + 2 * step ... bytes. */
static struct outcome
read_in_pieces(const uint8_t *data, size_t size, size_t piece, size_t step)
{
	struct http_reply reply;
	ssize_t taken = 0;

	http_reply_init(&reply);
	for (size_t at = 0; taken == 0 && at < size; piece += step) {
		size_t len = size - at < piece ? size - at : piece;
		uint8_t *copy = malloc(len);

		assert(copy != NULL);
		memcpy(copy, data + at, len);
		taken = http_reply_feed(&reply, copy, len);
		free(copy);
		assert(taken <= (ssize_t)len);
		at += len;
	}
	assert(reply.total <= HTTP_HEADER_MAX);
	for (size_t i = 0; reply.line[i] != '\0'; i++)
		assert(i < HTTP_LINE_MAX && reply.line[i] >= ' ' && reply.line[i] < 0x7f);
	return (struct outcome){
		taken > 0 ? (ssize_t)reply.total : taken, reply.status, taken < 0 ? reply.why : ""};
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct outcome whole = read_in_pieces(data, size, size, 0);
	struct outcome bytes = read_in_pieces(data, size, 1, 0);
	struct outcome uneven = read_in_pieces(data, size, 1, 3);

	assert(whole.taken == bytes.taken && whole.taken == uneven.taken);
	assert(strcmp(whole.why, bytes.why) == 0 && strcmp(whole.why, uneven.why) == 0);
	if (whole.taken <= 0)
		return 0;
	assert(whole.status == bytes.status && whole.status == uneven.status);
	assert(whole.status == 101 || (whole.status >= 200 && whole.status <= 999));
	assert(memcmp(data, "HTTP/1.", 7) == 0);
	assert(data[whole.taken - 1] == '\n');
	assert(memchr(data, '\0', (size_t)whole.taken) == NULL);
	return 0;
}

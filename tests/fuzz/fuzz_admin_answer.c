/*
 * The command line's reader of the daemon's answers: an input is all that came until the
 * connection's end. What it takes for an answer is one, and no longer one with a byte less.
 */
#include "lb/admin/client.h"

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* From a block of the exact size. */
static int
read_answer(struct client_reply *reply, const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1);
	assert(text != NULL);
	memcpy(text, data, size);
	text[size] = '\0';
	int result = client_parse(reply, text, size);
	free(text);
	return result;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint8_t none[1];
	struct client_reply reply, cut;
	if (size == 0)
		data = none;
	if (read_answer(&reply, data, size) < 0)
		return 0;
	assert(reply.json != NULL);
	assert(reply.status >= 100 && reply.status <= 599);
	assert(memcmp(data, "HTTP/1.", 7) == 0);
	assert(memmem(data, size, "\r\n\r\n", 4) != NULL);
	json_decref(reply.json);
	assert(read_answer(&cut, data, size - 1) < 0);
	return 0;
}

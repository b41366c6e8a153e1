/*
 * Any whole reply as one to EHLO: edited within its bounds it is a whole reply with the same code,
 * and stays as it is when it is edited again. The first byte of the input chooses what is to be
 * offered.
 */
#include "lb/wire/ehlo.h"
#include "lb/wire/reply_reader.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Its code when these bytes are one reply, 0 otherwise. */
static unsigned
read_reply(const uint8_t *bytes, size_t len)
{
	struct reply_reader reader;
	reply_reader_init(&reader);
	bool whole = len > 0 && reply_reader_feed(&reader, bytes, len) == (ssize_t)len;
	return whole ? reader.status.code : 0;
}

/* The edited reply, in memory of exactly its greatest size. */
static uint8_t *
edit(const uint8_t *reply, size_t len, bool offers, size_t *edited_len)
{
	uint8_t *edited = malloc(len + EHLO_GROWTH);
	if (!edited)
		abort();
	*edited_len = ehlo_edit(reply, len, offers, edited);
	if (*edited_len > len + EHLO_GROWTH)
		abort();
	return edited;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	unsigned code = size > 0 ? read_reply(data + 1, size - 1) : 0;
	if (code == 0)
		return 0;
	bool offers = data[0] & 1U;
	size_t once_len, twice_len;
	uint8_t *once = edit(data + 1, size - 1, offers, &once_len);
	if (read_reply(once, once_len) != code)
		abort();
	uint8_t *twice = edit(once, once_len, offers, &twice_len);
	if (once_len != twice_len || memcmp(once, twice, once_len) != 0)
		abort();
	free(once);
	free(twice);
	return 0;
}

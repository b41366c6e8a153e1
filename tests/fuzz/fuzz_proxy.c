/*
 * Any bytes as a PROXY header: the same result in any split, the oracle's result, and what was
 * announced can be announced again. The first byte of the input chooses the sizes of the pieces.
 */
#include "lb/wire/proxy.h"
#include "lb/wire/proxy_reader.h"

#include "tests/unit/proxy_oracle.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static ssize_t
feed(struct proxy_reader *reader, const uint8_t *input, size_t len, size_t piece_len)
{
	proxy_reader_init(reader);
	for (size_t at = 0; at < len; at += piece_len) {
		size_t left = len - at;
		ssize_t taken =
			proxy_reader_feed(reader, input + at, left < piece_len ? left : piece_len);
		if (taken != 0)
			return taken < 0 ? -1 : (ssize_t)at + taken;
	}
	return 0;
}

static void
check_announced(const struct proxy_reader *reader, const struct oracle *oracle)
{
	static const enum proxy_version versions[] = {PROXY_V1, PROXY_V2};
	uint8_t header[PROXY_HEADER_MAX];
	struct proxy_reader again;
	if (reader->source.port != oracle->source_port ||
		reader->destination.port != oracle->destination_port ||
		memcmp(reader->source.addr.bytes, oracle->source, 16) != 0 ||
		memcmp(reader->destination.addr.bytes, oracle->destination, 16) != 0)
		abort();
	for (size_t i = 0; i < 2; i++) {
		size_t len =
			proxy_encode(header, versions[i], &reader->source, &reader->destination);
		if (feed(&again, header, len, len) != (ssize_t)len ||
			!endpoint_equal(&again.source, &reader->source) ||
			!endpoint_equal(&again.destination, &reader->destination))
			abort();
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 2)
		return 0;
	const uint8_t *input = data + 1;
	size_t len = size - 1;
	struct proxy_reader whole, pieces;
	struct oracle oracle;
	ssize_t result = feed(&whole, input, len, len);
	if (result != oracle_read(input, len, &oracle))
		abort();
	if (result != feed(&pieces, input, len, data[0] + 1U) || whole.why != pieces.why)
		abort();
	if ((result < 0) != (whole.why != NULL))
		abort();
	if (result > 0 && whole.announced != oracle.announced)
		abort();
	if (result > 0 && whole.announced)
		check_announced(&whole, &oracle);
	return 0;
}

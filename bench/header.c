/*
 * Reads the PROXY header that comes in: see header.h. Any thread; no memory of its own.
 */
#include "bench/header.h"

#include <netinet/in.h>
#include <stdbool.h>
#include <string.h>

enum {
	V1_MAX = 107, /* section 2.1, with CRLF */
	V2_FIXED = 16,
	V2_TCP4 = 0x11,
	V2_TCP6 = 0x21,
	V2_TCP4_LEN = 12,
	V2_TCP6_LEN = 36,
};

static const char v1_start[] = "PROXY ";
static const uint8_t v2_start[] = {
	0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a};

/* Whether bytes can be the beginning of something that starts with start. */
static bool
may_start(const uint8_t *bytes, size_t len, const void *start, size_t start_len)
{
	return memcmp(bytes, start, len < start_len ? len : start_len) == 0;
}

/* A decimal without leading zeros, at most 65535. */
static int
port_parse(uint16_t *port, const char *text)
{
	unsigned value = 0;
	size_t len = strlen(text);

	if (len == 0 || len > 5 || (text[0] == '0' && len > 1))
		return -1;
	for (; *text != '\0'; text++) {
		if (*text < '0' || *text > '9')
			return -1;
		value = value * 10 + (unsigned)(*text - '0');
	}
	if (value > UINT16_MAX)
		return -1;
	*port = (uint16_t)value;
	return 0;
}

static int
v1_fields(char *line, struct endpoint *source)
{
	enum { PROTOCOL, SOURCE, DESTINATION, SOURCE_PORT, DESTINATION_PORT, FIELDS };
	char *field[FIELDS];
	struct endpoint from, to;
	enum addr_family family;

	for (int i = 0; i < FIELDS; i++) {
		field[i] = strsep(&line, " ");
		if (field[i] == NULL)
			return -1;
		if (i == PROTOCOL && strcmp(field[i], "UNKNOWN") == 0)
			return 0;
	}
	if (line != NULL)
		return -1;
	if (strcmp(field[PROTOCOL], "TCP4") == 0)
		family = ADDR_V4;
	else if (strcmp(field[PROTOCOL], "TCP6") == 0)
		family = ADDR_V6;
	else
		return -1;
	if (addr_parse(&from.addr, field[SOURCE]) != 0 ||
		addr_parse(&to.addr, field[DESTINATION]) != 0 ||
		port_parse(&from.port, field[SOURCE_PORT]) != 0 ||
		port_parse(&to.port, field[DESTINATION_PORT]) != 0)
		return -1;
	/* A mapped address was folded, and so is caught here. */
	if (from.addr.family != family || to.addr.family != family)
		return -1;
	*source = from;
	return 0;
}

static ssize_t
v1_parse(const uint8_t *bytes, size_t len, struct endpoint *source)
{
	char line[V1_MAX + 1];
	size_t start = sizeof(v1_start) - 1;
	const uint8_t *end;
	size_t text;

	if (!may_start(bytes, len, v1_start, start))
		return -1;
	end = memchr(bytes, '\n', len < V1_MAX ? len : V1_MAX);
	if (end == NULL)
		return len < V1_MAX ? 0 : -1;
	text = (size_t)(end - bytes);
	if (text < start + 1 || bytes[text - 1] != '\r' || memchr(bytes, '\0', text) != NULL)
		return -1;
	memcpy(line, bytes + start, text - 1 - start);
	line[text - 1 - start] = '\0';
	return v1_fields(line, source) == 0 ? (ssize_t)text + 1 : -1;
}

static bool
tlvs_fit(const uint8_t *tlv, size_t len)
{
	while (len >= 3) {
		size_t whole = 3 + ((size_t)tlv[1] << 8 | tlv[2]);

		if (whole > len)
			return false;
		tlv += whole;
		len -= whole;
	}
	return len == 0;
}

static int
v2_addresses(const uint8_t *body, size_t len, uint8_t family, struct endpoint *source)
{
	struct endpoint from = {.port = 0};
	size_t used;
	size_t size;

	if (family == V2_TCP4) {
		from.addr.family = ADDR_V4;
		size = 4;
		used = V2_TCP4_LEN;
	} else if (family == V2_TCP6) {
		from.addr.family = ADDR_V6;
		size = 16;
		used = V2_TCP6_LEN;
	} else {
		return 0;
	}
	if (len < used || !tlvs_fit(body + used, len - used))
		return -1;
	memcpy(from.addr.bytes, body, size);
	from.port = (uint16_t)(body[2 * size] << 8 | body[2 * size + 1]);
	if (size == 16) {
		struct in6_addr address[2];

		memcpy(address, body, sizeof(address));
		if (IN6_IS_ADDR_V4MAPPED(&address[0]) || IN6_IS_ADDR_V4MAPPED(&address[1]))
			return -1;
	}
	*source = from;
	return 0;
}

static ssize_t
v2_parse(const uint8_t *bytes, size_t len, struct endpoint *source)
{
	enum { VERSION_COMMAND = 12, FAMILY, LENGTH };
	size_t body;

	if (!may_start(bytes, len, v2_start, sizeof(v2_start)))
		return -1;
	if (len < V2_FIXED)
		return 0;
	body = (size_t)bytes[LENGTH] << 8 | bytes[LENGTH + 1];
	if (V2_FIXED + body > HEADER_MAX)
		return -1;
	if (len < V2_FIXED + body)
		return 0;
	switch (bytes[VERSION_COMMAND]) {
	case 0x20: /* LOCAL */
		return (ssize_t)(V2_FIXED + body);
	case 0x21: /* PROXY */
		if (v2_addresses(bytes + V2_FIXED, body, bytes[FAMILY], source) != 0)
			return -1;
		return (ssize_t)(V2_FIXED + body);
	default:
		return -1;
	}
}

ssize_t
header_parse(enum header_kind kind, const uint8_t *bytes, size_t len, struct endpoint *source)
{
	if (len == 0)
		return 0;
	switch (kind) {
	case HEADER_V1:
		return v1_parse(bytes, len, source);
	case HEADER_V2:
		return v2_parse(bytes, len, source);
	case HEADER_ANY:
		if (bytes[0] == (uint8_t)v1_start[0])
			return v1_parse(bytes, len, source);
		return v2_parse(bytes, len, source);
	case HEADER_OFF:
		break;
	}
	return -1;
}

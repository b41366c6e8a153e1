/*
 * Reads a PROXY header a byte at a time, so that where the pieces were split can't matter. Runs in
 * the session's worker, the struct is the session's.
 */
#include "lb/wire/proxy_reader.h"

#include "lb/wire/crc32c.h"
#include "lb/wire/proxy.h"

#include <stdlib.h>
#include <string.h>

enum {
	V2_COMMAND = 12, /* offsets; section 2.2 */
	V2_FAMILY = 13,
	V2_LENGTH = 14,
	V2_ADDRESSES = 16,
	COMMAND_LOCAL = 0x20, /* version 2 in the upper half */
	COMMAND_PROXY = 0x21,
	FAMILY_INET6 = 0x2, /* the upper half of the family's byte */
	FAMILY_TCP4 = 0x11,
	FAMILY_TCP6 = 0x21,
	TLV_CRC32C = 0x03,
	TLV_SSL = 0x20,
	CRC32C_LEN = 4,
	SSL_FIELDS = 5, /* `client` and `verify`: section 2.2.6 */
	PORT_DIGITS = 5,
};

static const char v1_begin[] = "PROXY ";
static const char v1_unknown[] = "PROXY UNKNOWN";

/* Bytes of addresses and ports by the upper half of the family's byte: AF_UNSPEC, AF_INET,
 * AF_INET6, AF_UNIX. */
static const size_t address_lens[] = {0, 12, 36, 216};

enum {
	FAMILIES = sizeof(address_lens) / sizeof(address_lens[0]),
	TRANSPORTS = 3, /* UNSPEC, STREAM, DGRAM */
};

void
proxy_reader_init(struct proxy_reader *reader)
{
	memset(reader, 0, sizeof(*reader));
	reader->running = CRC32C_BEGIN;
}

static int
refuse(struct proxy_reader *reader, const char *why)
{
	reader->why = why;
	return -1;
}

static size_t
read_u16(const uint8_t *bytes)
{
	return (size_t)bytes[0] << 8 | bytes[1];
}

/* Both are announced. A mapped address is the IPv4 address it stands for, so the two may turn out
 * to be of different families, and there is no such connection. */
static int
announce(struct proxy_reader *reader)
{
	addr_fold(&reader->source.addr);
	addr_fold(&reader->destination.addr);
	if (reader->source.addr.family != reader->destination.addr.family)
		return refuse(reader, "source and destination are of different families");
	reader->announced = true;
	return 1;
}

/* Version 1: section 2.1. */

/* "The advertised protocol family dictates what format to use." */
static int
parse_address(struct addr *addr, const char *text, bool is_v6)
{
	bool has_colon = strchr(text, ':') != NULL;
	return has_colon == is_v6 ? addr_parse(addr, text) : -1;
}

/* "A decimal integer in the range [0..65535] inclusive. Heading zeroes are not permitted." */
static int
parse_port(uint16_t *port, const char *text)
{
	size_t len = strspn(text, "0123456789");
	if (len == 0 || len > PORT_DIGITS || text[len] || (text[0] == '0' && len > 1))
		return -1;
	unsigned long value = strtoul(text, NULL, 10);
	if (value > UINT16_MAX)
		return -1;
	*port = (uint16_t)value;
	return 0;
}

/* Cuts the next field off, which "exactly one space" ends; the last one has none behind it. */
static char *
next_field(char **rest)
{
	char *field = *rest;
	char *blank = strchr(field, ' ');
	*rest = blank ? blank + 1 : field + strlen(field);
	if (blank)
		*blank = '\0';
	return field;
}

/* What stands behind the protocol's name, without the CRLF. */
static int
parse_v1_addresses(struct proxy_reader *reader, char *rest, bool is_v6)
{
	if (parse_address(&reader->source.addr, next_field(&rest), is_v6) < 0)
		return refuse(reader, "the source is no address of its family");
	if (parse_address(&reader->destination.addr, next_field(&rest), is_v6) < 0)
		return refuse(reader, "the destination is no address of its family");
	if (parse_port(&reader->source.port, next_field(&rest)) < 0)
		return refuse(reader, "the source port is none");
	/* All of the rest, so that nothing may stand behind it. */
	if (parse_port(&reader->destination.port, rest) < 0)
		return refuse(reader, "the destination port is none, or more follows it");
	return announce(reader);
}

/* The whole line, its CRLF included. */
static int
parse_v1(struct proxy_reader *reader)
{
	char *line = (char *)reader->head;
	size_t len = reader->total - strlen("\r\n");
	line[len] = '\0';
	/* "For UNKNOWN the receiver must ignore anything presented before the CRLF." */
	size_t word = strlen(v1_unknown);
	if (strncmp(line, v1_unknown, word) == 0 && (len == word || line[word] == ' '))
		return 1;
	if (strlen(line) != len)
		return refuse(reader, "a NUL in the line");
	char *rest = line + strlen(v1_begin);
	const char *protocol = next_field(&rest);
	bool is_v6 = strcmp(protocol, "TCP6") == 0;
	if (!is_v6 && strcmp(protocol, "TCP4") != 0)
		return refuse(reader, "the protocol is none of TCP4, TCP6 and UNKNOWN");
	return parse_v1_addresses(reader, rest, is_v6);
}

/* "The receiver must not tolerate a single CR or LF character to end the line." */
static int
take_v1(struct proxy_reader *reader, uint8_t byte)
{
	size_t at = reader->total - 1;
	reader->head[at] = byte;
	if (at < strlen(v1_begin) && byte != (uint8_t)v1_begin[at])
		return refuse(reader, "no PROXY header");
	if (at >= strlen(v1_begin) && byte == '\n' && reader->head[at - 1] == '\r')
		return parse_v1(reader);
	if (reader->total == PROXY_V1_MAX)
		return refuse(reader, "no CRLF within 107 bytes");
	return 0;
}

/* Version 2: section 2.2. */

/* Above all: "the receiver must only accept this value", "receivers must drop connections
 * presenting unexpected values here". */
static int
check_command(struct proxy_reader *reader, uint8_t byte)
{
	if (byte >> 4 != COMMAND_PROXY >> 4)
		return refuse(reader, "the version is not 2");
	if (byte != COMMAND_LOCAL && byte != COMMAND_PROXY)
		return refuse(reader, "the command is neither LOCAL nor PROXY");
	return 0;
}

/* "Other values are unspecified and must be rejected as invalid by receivers", but of LOCAL "the
 * family is ignored". */
static int
check_family(struct proxy_reader *reader, uint8_t byte)
{
	if (reader->head[V2_COMMAND] == COMMAND_LOCAL)
		return 0;
	if (byte >> 4 >= FAMILIES)
		return refuse(reader, "the address family is undefined");
	if ((byte & 15) >= TRANSPORTS)
		return refuse(reader, "the transport protocol is undefined");
	return 0;
}

/* A LOCAL header need not have the addresses that its family speaks of; where it has room for
 * them they are taken to stand there. */
static int
check_length(struct proxy_reader *reader)
{
	size_t length = read_u16(reader->head + V2_LENGTH);
	unsigned family = reader->head[V2_FAMILY] >> 4;
	size_t addresses = family < FAMILIES ? address_lens[family] : 0;
	if (addresses > length) {
		if (reader->head[V2_COMMAND] != COMMAND_LOCAL)
			return refuse(reader, "the addresses are cut short");
		addresses = 0;
	}
	reader->tlvs_at = V2_ADDRESSES + addresses;
	reader->end = V2_ADDRESSES + length;
	reader->outer = (struct proxy_tlvs){.at = reader->tlvs_at, .end = reader->end};
	return 0;
}

static int
take_v2_head(struct proxy_reader *reader, size_t at, uint8_t byte)
{
	reader->head[at] = byte;
	if (at < PROXY_V2_SIGNATURE_LEN)
		return byte == proxy_v2_signature[at] ? 0 : refuse(reader, "no PROXY header");
	if (at == V2_COMMAND)
		return check_command(reader, byte);
	if (at == V2_FAMILY)
		return check_family(reader, byte);
	return at == V2_ADDRESSES - 1 ? check_length(reader) : 0;
}

static int
take_head_of_tlv(struct proxy_reader *reader, struct proxy_tlvs *tlvs, size_t at, uint8_t byte)
{
	size_t column = at - tlvs->at;
	tlvs->head[column] = byte;
	if (column == 0 && at + PROXY_TLV_HEAD > tlvs->end)
		return refuse(reader, "a TLV is cut short");
	if (column < PROXY_TLV_HEAD - 1)
		return 0;
	tlvs->next = at + 1 + read_u16(tlvs->head + 1);
	return tlvs->next <= tlvs->end ? 0 : refuse(reader, "a TLV goes past the end");
}

static int
begin_checksum(struct proxy_reader *reader, size_t len)
{
	if (reader->has_checksum)
		return refuse(reader, "two checksums");
	if (len != CRC32C_LEN)
		return refuse(reader, "the checksum is not of 4 bytes");
	reader->has_checksum = true;
	return 0;
}

static int
begin_ssl(struct proxy_reader *reader, size_t value_at)
{
	reader->inner = (struct proxy_tlvs){.at = value_at + SSL_FIELDS, .end = reader->outer.next};
	return reader->inner.at <= reader->inner.end ? 0
						     : refuse(reader, "the SSL TLV is too short");
}

/* The value of one of the header's own TLVs begins at value_at. */
static int
begin_value(struct proxy_reader *reader, size_t value_at)
{
	switch (reader->outer.head[0]) {
	case TLV_CRC32C:
		return begin_checksum(reader, reader->outer.next - value_at);
	case TLV_SSL:
		return begin_ssl(reader, value_at);
	default:
		return 0;
	}
}

/* "It is thus possible to find multiple TLV values after this field": section 2.2.6. */
static int
take_within_ssl(struct proxy_reader *reader, size_t at, uint8_t byte)
{
	struct proxy_tlvs *tlvs = &reader->inner;
	if (at < tlvs->at)
		return 0;
	if (at < tlvs->at + PROXY_TLV_HEAD && take_head_of_tlv(reader, tlvs, at, byte) < 0)
		return -1;
	if (at + 1 == tlvs->next)
		tlvs->at = at + 1;
	return 0;
}

/* Returns what counts for the checksum: "replace the 32 bits of the checksum field in the received
 * header with all 0s", section 2.2.3. */
static uint8_t
take_checksum(struct proxy_reader *reader, uint8_t byte)
{
	reader->checksum = reader->checksum << 8 | byte;
	return 0;
}

/* One byte behind the addresses; *counted is what it is for the checksum. */
static int
take_tlv(struct proxy_reader *reader, size_t at, uint8_t byte, uint8_t *counted)
{
	struct proxy_tlvs *tlvs = &reader->outer;
	size_t value_at = tlvs->at + PROXY_TLV_HEAD;
	int result = 0;
	if (at < value_at)
		result = take_head_of_tlv(reader, tlvs, at, byte);
	if (result == 0 && at + 1 == value_at)
		result = begin_value(reader, value_at);
	if (at >= value_at && tlvs->head[0] == TLV_SSL)
		result = take_within_ssl(reader, at, byte);
	if (at >= value_at && tlvs->head[0] == TLV_CRC32C)
		*counted = take_checksum(reader, byte);
	if (at + 1 == tlvs->next)
		tlvs->at = at + 1;
	return result;
}

static void
read_v2_endpoints(struct proxy_reader *reader, enum addr_family family)
{
	size_t size = addr_bits(family) / 8;
	const uint8_t *at = reader->head + V2_ADDRESSES;
	reader->source.addr.family = reader->destination.addr.family = family;
	memcpy(reader->source.addr.bytes, at, size);
	memcpy(reader->destination.addr.bytes, at + size, size);
	reader->source.port = (uint16_t)read_u16(at + 2 * size);
	reader->destination.port = (uint16_t)read_u16(at + 2 * size + 2);
}

static int
finish_v2(struct proxy_reader *reader)
{
	uint8_t family = reader->head[V2_FAMILY];
	if (reader->has_checksum && reader->checksum != crc32c_end(reader->running))
		return refuse(reader, "the checksum is wrong");
	if (reader->head[V2_COMMAND] == COMMAND_LOCAL)
		return 1;
	if (family != FAMILY_TCP4 && family != FAMILY_TCP6)
		return 1;
	read_v2_endpoints(reader, family == FAMILY_TCP4 ? ADDR_V4 : ADDR_V6);
	return announce(reader);
}

static int
take_v2(struct proxy_reader *reader, uint8_t byte)
{
	size_t at = reader->total - 1;
	uint8_t counted = byte;
	int result = 0;
	if (at < V2_ADDRESSES)
		result = take_v2_head(reader, at, byte);
	else if (at >= reader->tlvs_at)
		result = take_tlv(reader, at, byte, &counted);
	else if (at < V2_ADDRESSES + address_lens[FAMILY_INET6])
		reader->head[at] = byte;
	reader->running = crc32c_add(reader->running, counted);
	return result == 0 && reader->total == reader->end ? finish_v2(reader) : result;
}

ssize_t
proxy_reader_feed(struct proxy_reader *reader, const uint8_t *piece, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		bool is_v1 = (reader->total > 0 ? reader->head[0] : piece[i]) == v1_begin[0];
		reader->total++;
		int taken = is_v1 ? take_v1(reader, piece[i]) : take_v2(reader, piece[i]);
		if (taken != 0)
			return taken < 0 ? -1 : (ssize_t)i + 1;
	}
	return 0;
}

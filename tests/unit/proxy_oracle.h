/*
 * A PROXY header read the slow way, from one buffer, for comparison with the incremental reader.
 */
#ifndef TESTS_UNIT_PROXY_ORACLE_H
#define TESTS_UNIT_PROXY_ORACLE_H

#include <arpa/inet.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>

struct oracle {
	bool announced;
	int family; /* AF_INET or AF_INET6 */
	uint8_t source[16], destination[16];
	unsigned source_port, destination_port;
};

static const char oracle_signature[] = "\r\n\r\n\0\r\nQUIT\n";

/* Bit by bit, with the four bytes at `zeroed` taken for zero; 0 for none. */
static uint32_t
oracle_crc32c(const uint8_t *bytes, size_t len, size_t zeroed)
{
	uint32_t crc = 0xFFFFFFFF;
	for (size_t i = 0; i < len; i++) {
		crc ^= zeroed && i >= zeroed && i < zeroed + 4 ? 0 : bytes[i];
		for (int bit = 0; bit < 8; bit++)
			crc = crc & 1 ? crc >> 1 ^ 0x82F63B78 : crc >> 1;
	}
	return ~crc;
}

/* Folds both if both are mapped. Returns -1 when only one is. */
static int
oracle_fold(struct oracle *out)
{
	static const uint8_t mapped[12] = {[10] = 0xFF, [11] = 0xFF};
	bool from = out->family == AF_INET6 && memcmp(out->source, mapped, 12) == 0;
	bool to = out->family == AF_INET6 && memcmp(out->destination, mapped, 12) == 0;
	if (from != to)
		return -1;
	if (!from)
		return 0;
	out->family = AF_INET;
	memmove(out->source, out->source + 12, 4);
	memmove(out->destination, out->destination + 12, 4);
	memset(out->source + 4, 0, 12);
	memset(out->destination + 4, 0, 12);
	return 0;
}

static ssize_t
oracle_read_v1(const uint8_t *bytes, size_t len, struct oracle *out)
{
	char line[108], version, from[64], to[64], again[256];
	size_t end = 0;
	if (memcmp(bytes, "PROXY ", len < 6 ? len : 6) != 0)
		return -1;
	for (size_t i = 7; i < len && i < 107 && !end; i++)
		if (bytes[i - 1] == '\r' && bytes[i] == '\n')
			end = i - 1;
	if (!end)
		return len >= 107 ? -1 : 0;
	memcpy(line, bytes, end);
	line[end] = '\0';
	if (strcmp(line, "PROXY UNKNOWN") == 0 && end == 13)
		return 15;
	if (strncmp(line, "PROXY UNKNOWN ", 14) == 0)
		return (ssize_t)end + 2;
	/* Written again from its parts it must be the same: no blank, no zero too many. */
	if (sscanf(line, "PROXY TCP%c %63s %63s %u %u", &version, from, to, &out->source_port,
		    &out->destination_port) != 5)
		return -1;
	snprintf(again, sizeof(again), "PROXY TCP%c %s %s %u %u", version, from, to,
		out->source_port, out->destination_port);
	if (strlen(again) != end || memcmp(line, again, end) != 0)
		return -1;
	if ((version != '4' && version != '6') || out->source_port > 65535 ||
		out->destination_port > 65535)
		return -1;
	out->family = version == '4' ? AF_INET : AF_INET6;
	if (inet_pton(out->family, from, out->source) != 1 ||
		inet_pton(out->family, to, out->destination) != 1)
		return -1;
	out->announced = true;
	return oracle_fold(out) < 0 ? -1 : (ssize_t)end + 2;
}

/* TLVs from `at` to `end`, as far as the len bytes go. *checksum_at: where the checksum stands;
 * NULL within an SSL TLV. */
static int
oracle_tlvs(const uint8_t *bytes, size_t len, size_t at, size_t end, size_t *checksum_at)
{
	while (at < end && at < len) {
		if (at + 3 > end)
			return -1;
		if (at + 3 > len)
			return 0;
		size_t value = at + 3, next = value + (bytes[at + 1] * 256U + bytes[at + 2]);
		if (next > end)
			return -1;
		if (checksum_at && bytes[at] == 0x03) {
			if (*checksum_at || next - value != 4)
				return -1;
			*checksum_at = value;
		}
		if (checksum_at && bytes[at] == 0x20 &&
			(next - value < 5 || oracle_tlvs(bytes, len, value + 5, next, NULL) < 0))
			return -1;
		at = next;
	}
	return 0;
}

static void
oracle_addresses(const uint8_t *bytes, struct oracle *out)
{
	size_t size = bytes[13] == 0x11 ? 4 : 16;
	const uint8_t *ports = bytes + 16 + 2 * size;
	out->announced = true;
	out->family = size == 4 ? AF_INET : AF_INET6;
	memcpy(out->source, bytes + 16, size);
	memcpy(out->destination, bytes + 16 + size, size);
	out->source_port = ports[0] * 256U + ports[1];
	out->destination_port = ports[2] * 256U + ports[3];
}

static ssize_t
oracle_read_v2(const uint8_t *bytes, size_t len, struct oracle *out)
{
	static const size_t sizes[16] = {0, 12, 36, 216};
	if (memcmp(bytes, oracle_signature, len < 12 ? len : 12) != 0)
		return -1;
	if (len > 12 && bytes[12] != 0x20 && bytes[12] != 0x21)
		return -1;
	bool local = len > 12 && bytes[12] == 0x20;
	if (len > 13 && !local && (bytes[13] >> 4 > 3 || (bytes[13] & 15) > 2))
		return -1;
	if (len < 16)
		return 0;
	size_t length = bytes[14] * 256U + bytes[15], size = sizes[bytes[13] >> 4];
	if (size > length && !local)
		return -1;
	if (size > length)
		size = 0;
	size_t checksum_at = 0, end = 16 + length;
	if (oracle_tlvs(bytes, len, 16 + size, end, &checksum_at) < 0)
		return -1;
	if (len < end)
		return 0;
	uint32_t announced;
	memcpy(&announced, bytes + checksum_at, 4);
	if (checksum_at && ntohl(announced) != oracle_crc32c(bytes, end, checksum_at))
		return -1;
	if (!local && (bytes[13] == 0x11 || bytes[13] == 0x21))
		oracle_addresses(bytes, out);
	return oracle_fold(out) < 0 ? -1 : (ssize_t)end;
}

/* As proxy_reader_feed over all at once. len is at least 1. */
static ssize_t
oracle_read(const uint8_t *bytes, size_t len, struct oracle *out)
{
	memset(out, 0, sizeof(*out));
	return bytes[0] == 'P' ? oracle_read_v1(bytes, len, out) : oracle_read_v2(bytes, len, out);
}

#endif

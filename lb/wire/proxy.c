/*
 * Encodes the PROXY protocol header, version 1 as text and version 2 as bytes. Pure: any thread,
 * the buffer is the caller's.
 */
#include "lb/wire/proxy.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

const uint8_t proxy_v2_signature[PROXY_V2_SIGNATURE_LEN] = {
	0x0D, 0x0A, 0x0D, 0x0A, 0x00, 0x0D, 0x0A, 0x51, 0x55, 0x49, 0x54, 0x0A};

enum {
	V2_LOCAL = 0x20, /* version 2, command LOCAL */
	V2_PROXY = 0x21, /* ... PROXY */
	V2_UNSPEC = 0x00,
	V2_TCP4 = 0x11,
	V2_TCP6 = 0x21,
};

static uint8_t *
put_bytes(uint8_t *at, const void *bytes, size_t len)
{
	memcpy(at, bytes, len);
	return at + len;
}

static uint8_t *
put_u16(uint8_t *at, size_t value)
{
	at[0] = (uint8_t)(value >> 8);
	at[1] = (uint8_t)value;
	return at + 2;
}

static size_t
encode_v1(uint8_t *buf, const struct endpoint *source, const struct endpoint *destination)
{
	char from[ADDR_TEXT_MAX], to[ADDR_TEXT_MAX];
	int len = snprintf((char *)buf, PROXY_HEADER_MAX, "PROXY TCP%c %s %s %u %u\r\n",
		source->addr.family == ADDR_V4 ? '4' : '6', addr_format(&source->addr, from),
		addr_format(&destination->addr, to), source->port, destination->port);
	return (size_t)len;
}

static size_t
encode_v2(uint8_t *buf, const struct endpoint *source, const struct endpoint *destination)
{
	size_t addr_len = addr_bits(source->addr.family) / 8;
	uint8_t *at = put_bytes(buf, proxy_v2_signature, PROXY_V2_SIGNATURE_LEN);
	*at++ = V2_PROXY;
	*at++ = source->addr.family == ADDR_V4 ? V2_TCP4 : V2_TCP6;
	at = put_u16(at, 2 * addr_len + 2 * sizeof(uint16_t));
	at = put_bytes(at, source->addr.bytes, addr_len);
	at = put_bytes(at, destination->addr.bytes, addr_len);
	at = put_u16(at, source->port);
	at = put_u16(at, destination->port);
	return (size_t)(at - buf);
}

size_t
proxy_encode(uint8_t buf[PROXY_HEADER_MAX], enum proxy_version version,
	const struct endpoint *source, const struct endpoint *destination)
{
	if (version == PROXY_OFF)
		return 0;
	assert(source->addr.family != ADDR_NONE);
	assert(source->addr.family == destination->addr.family);
	return version == PROXY_V1 ? encode_v1(buf, source, destination)
				   : encode_v2(buf, source, destination);
}

size_t
proxy_encode_own(uint8_t buf[PROXY_HEADER_MAX], enum proxy_version version,
	const struct endpoint *own, const struct endpoint *remote)
{
	if (version != PROXY_V2)
		return proxy_encode(buf, version, own, remote);
	uint8_t *at = put_bytes(buf, proxy_v2_signature, sizeof(proxy_v2_signature));
	*at++ = V2_LOCAL;
	*at++ = V2_UNSPEC;
	at = put_u16(at, 0);
	return (size_t)(at - buf);
}

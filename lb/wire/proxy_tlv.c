/*
 * See proxy_tlv.h. Pure: any thread, the buffer is the caller's.
 */
#include "lb/wire/proxy_tlv.h"

#include "lb/wire/crc32c.h"

#include <assert.h>
#include <string.h>

enum {
	TYPE_AUTHORITY = 0x02,
	TYPE_CRC32C = 0x03,
	TYPE_UNIQUE_ID = 0x05,
	TYPE_SSL = 0x20,
	SUBTYPE_SSL_VERSION = 0x21,
	SUBTYPE_SSL_CIPHER = 0x23,
	CLIENT_SSL = 0x01, /* the client speaks TLS */
	NOT_VERIFIED = 1,  /* and no certificate of its was */
	LENGTH_AT = PROXY_V2_SIGNATURE_LEN + 2,
	HEADER_LEN = LENGTH_AT + 2,
	TLV_HEADER_LEN = 3,
	AUTHORITY_MAX = 255,
};

static void
put_u16(uint8_t *at, size_t value)
{
	at[0] = (uint8_t)(value >> 8);
	at[1] = (uint8_t)value;
}

static void
put_u32(uint8_t *at, uint32_t value)
{
	put_u16(at, value >> 16);
	put_u16(at + 2, value & UINT16_MAX);
}

static uint8_t *
put(uint8_t *at, uint8_t type, const void *value, size_t len)
{
	at[0] = type;
	put_u16(at + 1, len);
	memcpy(at + TLV_HEADER_LEN, value, len);
	return at + TLV_HEADER_LEN + len;
}

static uint8_t *
put_ssl(uint8_t *at, const struct proxy_extras *extras)
{
	static const uint8_t ours[] = {CLIENT_SSL, 0, 0, 0, NOT_VERIFIED};
	uint8_t *end = put(at, TYPE_SSL, ours, sizeof(ours));
	end = put(end, SUBTYPE_SSL_VERSION, extras->version, strlen(extras->version));
	end = put(end, SUBTYPE_SSL_CIPHER, extras->cipher, strlen(extras->cipher));
	put_u16(at + 1, (size_t)(end - at - TLV_HEADER_LEN));
	return end;
}

/* Over all of it, the checksum itself being zero. */
static void
set_checksum(const uint8_t *buf, size_t len, uint8_t *at)
{
	uint32_t running = CRC32C_BEGIN;
	for (size_t i = 0; i < len; i++)
		running = crc32c_add(running, buf[i]);
	put_u32(at, crc32c_end(running));
}

size_t
proxy_add_tlvs(uint8_t buf[PROXY_HEADER_MAX], size_t len, const struct proxy_extras *extras)
{
	static const uint8_t zero[4];
	uint8_t *at = buf + len;
	size_t authority_len = extras->authority ? strlen(extras->authority) : 0;
	if (extras->version)
		at = put_ssl(at, extras);
	if (authority_len > 0 && authority_len <= AUTHORITY_MAX)
		at = put(at, TYPE_AUTHORITY, extras->authority, authority_len);
	at = put(at, TYPE_UNIQUE_ID, extras->unique_id, strlen(extras->unique_id));
	at = put(at, TYPE_CRC32C, zero, sizeof(zero));
	size_t total = (size_t)(at - buf);
	assert(total <= PROXY_HEADER_MAX);
	put_u16(buf + LENGTH_AT, total - HEADER_LEN);
	set_checksum(buf, total, at - sizeof(zero));
	return total;
}

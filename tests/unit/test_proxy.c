/*
 * The PROXY header: byte tables, and random endpoints read back by a decoder of the test's own.
 */
#include "lb/wire/proxy.h"

#include "tests/unit/unit.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

static struct endpoint
endpoint_of(const char *text)
{
	struct endpoint endpoint;
	ck_assert_int_eq(endpoint_parse(&endpoint, text), 0);
	return endpoint;
}

#define V2_SIGNATURE "\r\n\r\n\0\r\nQUIT\n"
#define V2_ROW(bytes) V2_SIGNATURE bytes, sizeof(V2_SIGNATURE bytes) - 1
#define V1_ROW(text) text, sizeof(text) - 1

static const struct {
	enum proxy_version version;
	const char *source, *destination;
	const char *bytes;
	size_t len;
} rows[] = {
	{PROXY_OFF, "203.0.113.7:1", "192.0.2.25:25", V1_ROW("")},
	{PROXY_V1, "203.0.113.7:49152", "192.0.2.25:25",
		V1_ROW("PROXY TCP4 203.0.113.7 192.0.2.25 49152 25\r\n")},
	{PROXY_V1, "255.255.255.255:65535", "255.255.255.255:65535",
		V1_ROW("PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n")},
	{PROXY_V1, "[2001:db8:0:0:1:0:0:1]:1025", "[2001:DB8::25]:587",
		V1_ROW("PROXY TCP6 2001:db8::1:0:0:1 2001:db8::25 1025 587\r\n")},
	{PROXY_V1, "[2001:db8:1111:2222:3333:4444:5555:6666]:65535",
		"[2001:db8:aaaa:bbbb:cccc:dddd:eeee:ffff]:65535",
		V1_ROW("PROXY TCP6 2001:db8:1111:2222:3333:4444:5555:6666 "
		       "2001:db8:aaaa:bbbb:cccc:dddd:eeee:ffff 65535 65535\r\n")},
	{PROXY_V1, "[::ffff:203.0.113.7]:1", "[::ffff:192.0.2.25]:25",
		V1_ROW("PROXY TCP4 203.0.113.7 192.0.2.25 1 25\r\n")},
	{PROXY_V2, "203.0.113.7:49152", "192.0.2.25:25",
		V2_ROW("\x21\x11\x00\x0C"
		       "\xCB\x00\x71\x07"
		       "\xC0\x00\x02\x19"
		       "\xC0\x00\x00\x19")},
	{PROXY_V2, "[2001:db8::1]:1025", "[2001:db8::25]:587",
		V2_ROW("\x21\x21\x00\x24"
		       "\x20\x01\x0D\xB8\0\0\0\0\0\0\0\0\0\0\0\x01"
		       "\x20\x01\x0D\xB8\0\0\0\0\0\0\0\0\0\0\0\x25"
		       "\x04\x01\x02\x4B")},
	{PROXY_V2, "[::ffff:203.0.113.7]:1", "[::ffff:192.0.2.25]:25",
		V2_ROW("\x21\x11\x00\x0C"
		       "\xCB\x00\x71\x07"
		       "\xC0\x00\x02\x19"
		       "\x00\x01\x00\x19")},
};

START_TEST(bytes)
{
	struct endpoint source = endpoint_of(rows[_i].source);
	struct endpoint destination = endpoint_of(rows[_i].destination);
	uint8_t buf[PROXY_HEADER_MAX];
	size_t len = proxy_encode(buf, rows[_i].version, &source, &destination);
	ck_assert_uint_eq(len, rows[_i].len);
	ck_assert_mem_eq(buf, rows[_i].bytes, len);
}
END_TEST

/* What a relay reads out of a header. */
struct decoded {
	int family; /* AF_INET or AF_INET6 */
	uint8_t source[16], destination[16];
	unsigned source_port, destination_port;
};

static void
decode_v1(const uint8_t *header, size_t len, struct decoded *out)
{
	/* 107 bytes are the specification's bound, CRLF included. */
	char text[108], version, from[64], to[64], again[256];
	ck_assert_uint_lt(len, sizeof(text));
	memcpy(text, header, len);
	text[len] = '\0';
	ck_assert_int_eq(sscanf(text, "PROXY TCP%c %63s %63s %u %u", &version, from, to,
				 &out->source_port, &out->destination_port),
		5);
	/* Written again from its parts it must be the same: no blank, no zero too many. */
	snprintf(again, sizeof(again), "PROXY TCP%c %s %s %u %u\r\n", version, from, to,
		out->source_port, out->destination_port);
	ck_assert_str_eq(text, again);
	out->family = version == '4' ? AF_INET : AF_INET6;
	ck_assert_int_eq(inet_pton(out->family, from, out->source), 1);
	ck_assert_int_eq(inet_pton(out->family, to, out->destination), 1);
}

static void
decode_v2(const uint8_t *header, size_t len, struct decoded *out)
{
	ck_assert_uint_ge(len, 16);
	ck_assert_mem_eq(header, V2_SIGNATURE, 12);
	ck_assert_uint_eq(header[12], 0x21);
	ck_assert(header[13] == 0x11 || header[13] == 0x21);
	out->family = header[13] == 0x11 ? AF_INET : AF_INET6;
	size_t size = out->family == AF_INET ? 4 : 16;
	ck_assert_uint_eq(header[14] * 256U + header[15], 2 * size + 4);
	ck_assert_uint_eq(len, 16 + 2 * size + 4);
	const uint8_t *ports = header + 16 + 2 * size;
	memcpy(out->source, header + 16, size);
	memcpy(out->destination, header + 16 + size, size);
	out->source_port = ports[0] * 256U + ports[1];
	out->destination_port = ports[2] * 256U + ports[3];
}

static void
random_endpoint(struct endpoint *endpoint, enum addr_family family)
{
	memset(endpoint, 0, sizeof(*endpoint));
	endpoint->addr.family = family;
	endpoint->port = (uint16_t)random();
	for (size_t i = 0; i < (family == ADDR_V4 ? 4 : 16); i++)
		/* Zeros often, so that :: stands everywhere. */
		endpoint->addr.bytes[i] = random() % 3 ? (uint8_t)random() : 0;
}

START_TEST(read_back)
{
	enum { SEED = 20261124, ROUNDS = 20000 };
	srandom(SEED);
	for (int i = 0; i < ROUNDS; i++) {
		enum addr_family family = i % 2 ? ADDR_V4 : ADDR_V6;
		enum proxy_version version = i / 2 % 2 ? PROXY_V1 : PROXY_V2;
		struct endpoint source, destination;
		random_endpoint(&source, family);
		random_endpoint(&destination, family);
		uint8_t buf[PROXY_HEADER_MAX];
		size_t len = proxy_encode(buf, version, &source, &destination);
		struct decoded out = {0};
		if (version == PROXY_V1)
			decode_v1(buf, len, &out);
		else
			decode_v2(buf, len, &out);
		ck_assert_msg(out.family == (family == ADDR_V4 ? AF_INET : AF_INET6) &&
				      memcmp(out.source, source.addr.bytes, 16) == 0 &&
				      memcmp(out.destination, destination.addr.bytes, 16) == 0 &&
				      out.source_port == source.port &&
				      out.destination_port == destination.port,
			"seed %d round %d: another endpoint came out", SEED, i);
	}
}
END_TEST

/* Of a connection of our own. */
START_TEST(own_connection)
{
	struct endpoint own = endpoint_of("192.0.2.5:49152");
	struct endpoint relay = endpoint_of("192.0.2.25:25");
	uint8_t buf[PROXY_HEADER_MAX];
	ck_assert_uint_eq(proxy_encode_own(buf, PROXY_OFF, &own, &relay), 0);
	size_t len = proxy_encode_own(buf, PROXY_V1, &own, &relay);
	static const char v1[] = "PROXY TCP4 192.0.2.5 192.0.2.25 49152 25\r\n";
	ck_assert_uint_eq(len, sizeof(v1) - 1);
	ck_assert_mem_eq(buf, v1, len);
	len = proxy_encode_own(buf, PROXY_V2, &own, &relay);
	static const char v2[] = V2_SIGNATURE "\x20\x00\x00\x00";
	ck_assert_uint_eq(len, sizeof(v2) - 1);
	ck_assert_mem_eq(buf, v2, len);
}
END_TEST

static void
fill(TCase *cases)
{
	tcase_add_loop_test(cases, bytes, 0, sizeof(rows) / sizeof(rows[0]));
	tcase_add_test(cases, read_back);
	tcase_add_test(cases, own_connection);
}

UNIT_MAIN("proxy", fill)

/*
 * TLVs behind a PROXY header: byte tables, and that our own reader, checksum and all, takes them.
 */
#include "lb/wire/proxy_tlv.h"
#include "lb/wire/proxy_reader.h"

#include "tests/unit/unit.h"

#include <string.h>

enum {
	V4_LEN = 28,
	CRC_LEN = 7,
	LONGEST = 255,
};

static size_t
encode(uint8_t buf[PROXY_HEADER_MAX], const char *source, const char *destination,
	const struct proxy_extras *extras)
{
	struct endpoint from, to;
	ck_assert_int_eq(endpoint_parse(&from, source), 0);
	ck_assert_int_eq(endpoint_parse(&to, destination), 0);
	return proxy_add_tlvs(buf, proxy_encode(buf, PROXY_V2, &from, &to), extras);
}

static void
check_reader(const uint8_t *buf, size_t len)
{
	struct proxy_reader reader;
	proxy_reader_init(&reader);
	ck_assert_int_eq(proxy_reader_feed(&reader, buf, len), (ssize_t)len);
	ck_assert_uint_eq(buf[14] << 8 | buf[15], len - 16);
}

#define BYTES(text) text, sizeof(text) - 1

static const struct {
	struct proxy_extras extras;
	const char *bytes; /* up to the checksum's value */
	size_t len;
} rows[] = {
	{{.unique_id = "a1"}, BYTES("\x05\0\x02"
				    "a1"
				    "\x03\0\x04")},
	{{.unique_id = "a1", .authority = "mail.test"}, BYTES("\x02\0\x09"
							      "mail.test"
							      "\x05\0\x02"
							      "a1"
							      "\x03\0\x04")},
	{{.unique_id = "a1", .authority = "", .version = "TLSv1.3", .cipher = "SUITE"},
		BYTES("\x20\0\x17\x01\0\0\0\x01"
		      "\x21\0\x07"
		      "TLSv1.3"
		      "\x23\0\x05"
		      "SUITE"
		      "\x05\0\x02"
		      "a1"
		      "\x03\0\x04")},
};

START_TEST(bytes)
{
	uint8_t buf[PROXY_HEADER_MAX];
	size_t len = encode(buf, "203.0.113.7:49152", "192.0.2.25:25", &rows[_i].extras);
	ck_assert_uint_eq(len, V4_LEN + rows[_i].len + 4);
	ck_assert_mem_eq(buf + V4_LEN, rows[_i].bytes, rows[_i].len);
	check_reader(buf, len);
	/* Every byte of it is covered, but for what says that there is a checksum. */
	for (size_t i = 0; i < len; i++) {
		if (i == len - CRC_LEN)
			continue;
		struct proxy_reader reader;
		buf[i] ^= 0x10;
		proxy_reader_init(&reader);
		ck_assert_int_ne(proxy_reader_feed(&reader, buf, len), (ssize_t)len);
		buf[i] ^= 0x10;
	}
}
END_TEST

/* Postfix reads no more than 536 bytes. */
START_TEST(longest)
{
	char name[LONGEST + 2], id[129], word[65];
	memset(name, 'n', sizeof(name));
	name[LONGEST] = '\0';
	memset(id, 'i', sizeof(id) - 1);
	id[sizeof(id) - 1] = '\0';
	memset(word, 'w', sizeof(word) - 1);
	word[sizeof(word) - 1] = '\0';
	uint8_t buf[PROXY_HEADER_MAX];
	struct proxy_extras extras = {
		.unique_id = id, .authority = name, .version = "TLSv1.3", .cipher = word};
	const char *source = "[2001:db8::1]:1025", *destination = "[2001:db8::25]:587";
	size_t len = encode(buf, source, destination, &extras);
	check_reader(buf, len);
	name[LONGEST] = 'n';
	name[LONGEST + 1] = '\0';
	ck_assert_uint_eq(encode(buf, source, destination, &extras), len - 3 - LONGEST);
}
END_TEST

static void
fill(TCase *tests)
{
	tcase_add_loop_test(tests, bytes, 0, sizeof(rows) / sizeof(*rows));
	tcase_add_test(tests, longest);
}

UNIT_MAIN("proxy_tlv", fill)

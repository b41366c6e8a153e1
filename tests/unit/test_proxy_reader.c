/*
 * The PROXY header reader: rows for every rule, each fed in every split in two and a byte at a
 * time, against the end of the mapped memory; checksums; the longest header; what proxy_encode
 * writes; and random headers against an oracle.
 */
#include "lb/wire/proxy_reader.h"

#include "lb/wire/crc32c.h"
#include "lb/wire/proxy.h"
#include "tests/unit/proxy_oracle.h"
#include "tests/unit/unit.h"

#include <sys/mman.h>
#include <unistd.h>

#define INPUT(text) text, sizeof(text) - 1
#define SIGNATURE "\r\n\r\n\0\r\nQUIT\n"
#define V2(bytes) SIGNATURE bytes, sizeof(SIGNATURE bytes) - 1
#define V4_PAIR "\xCB\x00\x71\x07\xC0\x00\x02\x19\xC0\x00\x00\x19"
#define V6_PAIR                                                                          \
	"\x20\x01\x0D\xB8\0\0\0\0\0\0\0\0\0\0\0\x01\x20\x01\x0D\xB8\0\0\0\0\0\0\0\0\0\0" \
	"\0\x25\x04\x01\x02\x4B"
#define MAPPED "\0\0\0\0\0\0\0\0\0\0\xFF\xFF"
#define ZEROS_12 "\0\0\0\0\0\0\0\0\0\0\0\0"
#define ZEROS_36 ZEROS_12 ZEROS_12 ZEROS_12
#define ZEROS_216 ZEROS_36 ZEROS_36 ZEROS_36 ZEROS_36 ZEROS_36 ZEROS_36

enum {
	OWN = -2, /* complete, and the connection's own addresses count */
	ALL = -3, /* complete, and announced; the length is that of the input */
};

/* result: 0, -1, OWN, ALL, or the header's length. text: of -1, what `why` says; of an announced
 * one "SOURCE DESTINATION". */
static const struct {
	const char *input;
	size_t len;
	ssize_t result;
	const char *text;
} rows[] = {
	/* Version 1. */
	{INPUT("PROXY TCP4 203.0.113.7 192.0.2.25 49152 25\r\n"), ALL,
		"203.0.113.7:49152 192.0.2.25:25"},
	{INPUT("PROXY TCP4 203.0.113.7 192.0.2.25 49152 25\r\nEHLO x\r\n"), 44,
		"203.0.113.7:49152 192.0.2.25:25"},
	{INPUT("PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n"), ALL,
		"255.255.255.255:65535 255.255.255.255:65535"},
	{INPUT("PROXY TCP4 0.0.0.0 0.0.0.0 0 0\r\n"), ALL, "0.0.0.0:0 0.0.0.0:0"},
	{INPUT("PROXY TCP6 2001:db8::1 2001:DB8:0:0:0:0:0:0025 1025 587\r\n"), ALL,
		"[2001:db8::1]:1025 [2001:db8::25]:587"},
	{INPUT("PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
	       "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n"),
		ALL,
		"[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535 "
		"[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535"},
	{INPUT("PROXY TCP6 :: :: 1 2\r\n"), ALL, "[::]:1 [::]:2"},
	{INPUT("PROXY TCP6 ::ffff:203.0.113.7 ::ffff:c000:219 1 25\r\n"), ALL,
		"203.0.113.7:1 192.0.2.25:25"},
	{INPUT("PROXY TCP6 ::ffff:203.0.113.7 2001:db8::1 1 25\r\n"), -1, "different families"},
	{INPUT("PROXY TCP6 2001:db8::1 ::ffff:203.0.113.7 1 25\r\n"), -1, "different families"},
	/* ... UNKNOWN. */
	{INPUT("PROXY UNKNOWN\r\n"), OWN, ""},
	{INPUT("PROXY UNKNOWN \r\n"), OWN, ""},
	{INPUT("PROXY UNKNOWN 203.0.113.7 192.0.2.25 49152 25\r\n"), OWN, ""},
	{INPUT("PROXY UNKNOWN any\rthing \0\n\xFF it likes\r\n"), OWN, ""},
	{INPUT("PROXY UNKNOWN ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
	       "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n"),
		OWN, ""},
	{INPUT("PROXY UNKNOWN xffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
	       "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n"),
		-1, "107 bytes"},
	{INPUT("PROXY UNKNOWNS\r\n"), -1, "none of TCP4"},
	{INPUT("PROXY UNKNOWN\0\r\n"), -1, "NUL"},
	{INPUT("PROXY UNKNOWN\r\r\n"), -1, "none of TCP4"},
	{INPUT("PROXY unknown\r\n"), -1, "none of TCP4"},
	/* ... not yet whole. */
	{INPUT("P"), 0, ""},
	{INPUT("PROXY"), 0, ""},
	{INPUT("PROXY TCP4 203.0.113.7 192.0.2.25 49152 25"), 0, ""},
	{INPUT("PROXY TCP4 203.0.113.7 192.0.2.25 49152 25\r"), 0, ""},
	{INPUT("PROXY TCP4 203.0.113.7 192.0.2.25 49152 25\n"), 0, ""},
	/* ... not well-formed. */
	{INPUT("PROXYTCP4 203.0.113.7 192.0.2.25 49152 25\r\n"), -1, "no PROXY"},
	{INPUT("PROXY\r\n"), -1, "no PROXY"},
	{INPUT("Proxy TCP4 203.0.113.7 192.0.2.25 49152 25\r\n"), -1, "no PROXY"},
	{INPUT("POST / HTTP/1.1\r\n"), -1, "no PROXY"},
	{INPUT("EHLO client\r\n"), -1, "no PROXY"},
	{INPUT(" PROXY TCP4 203.0.113.7 192.0.2.25 49152 25\r\n"), -1, "no PROXY"},
	{INPUT("\0"), -1, "no PROXY"},
	{INPUT("PROXY \r\n"), -1, "none of TCP4"},
	{INPUT("PROXY  TCP4 203.0.113.7 192.0.2.25 49152 25\r\n"), -1, "none of TCP4"},
	{INPUT("PROXY TCP5 203.0.113.7 192.0.2.25 49152 25\r\n"), -1, "none of TCP4"},
	{INPUT("PROXY tcp4 203.0.113.7 192.0.2.25 49152 25\r\n"), -1, "none of TCP4"},
	{INPUT("PROXY UDP4 203.0.113.7 192.0.2.25 49152 25\r\n"), -1, "none of TCP4"},
	{INPUT("PROXY TCP4\r\n"), -1, "source is"},
	{INPUT("PROXY TCP4 203.0.113.7\r\n"), -1, "destination is"},
	{INPUT("PROXY TCP4 203.0.113.7 192.0.2.25\r\n"), -1, "source port"},
	{INPUT("PROXY TCP4 203.0.113.7 192.0.2.25 49152\r\n"), -1, "destination port"},
	{INPUT("PROXY TCP4 203.0.113.7 192.0.2.25 49152 \r\n"), -1, "destination port"},
	{INPUT("PROXY TCP4 203.0.113.7 192.0.2.25 49152 25 \r\n"), -1, "destination port"},
	{INPUT("PROXY TCP4 203.0.113.7 192.0.2.25 49152 25 x\r\n"), -1, "destination port"},
	{INPUT("PROXY TCP4  203.0.113.7 192.0.2.25 49152 25\r\n"), -1, "source is"},
	{INPUT("PROXY TCP4 203.0.113.7  192.0.2.25 49152 25\r\n"), -1, "destination is"},
	{INPUT("PROXY TCP4 203.0.113.7 192.0.2.25  49152 25\r\n"), -1, "source port"},
	{INPUT("PROXY TCP4 203.0.113.7 192.0.2.25 49152  25\r\n"), -1, "destination port"},
	{INPUT("PROXY TCP4\t203.0.113.7 192.0.2.25 49152 25\r\n"), -1, "none of TCP4"},
	{INPUT("PROXY TCP4 203.0.113.7\t192.0.2.25 49152 25\r\n"), -1, "source is"},
	{INPUT("PROXY TCP4 203.0.113.07 192.0.2.25 49152 25\r\n"), -1, "source is"},
	{INPUT("PROXY TCP4 203.0.113.7 192.00.2.25 49152 25\r\n"), -1, "destination is"},
	{INPUT("PROXY TCP4 203.0.113.256 192.0.2.25 49152 25\r\n"), -1, "source is"},
	{INPUT("PROXY TCP4 203.0.113 192.0.2.25 49152 25\r\n"), -1, "source is"},
	{INPUT("PROXY TCP4 0x7f.0.0.1 192.0.2.25 49152 25\r\n"), -1, "source is"},
	{INPUT("PROXY TCP4 2001:db8::1 2001:db8::2 49152 25\r\n"), -1, "source is"},
	{INPUT("PROXY TCP4 ::ffff:203.0.113.7 192.0.2.25 49152 25\r\n"), -1, "source is"},
	{INPUT("PROXY TCP4 203.0.113.7 2001:db8::1 49152 25\r\n"), -1, "destination is"},
	{INPUT("PROXY TCP6 203.0.113.7 192.0.2.25 49152 25\r\n"), -1, "source is"},
	{INPUT("PROXY TCP6 2001:db8::1 192.0.2.25 49152 25\r\n"), -1, "destination is"},
	{INPUT("PROXY TCP6 fe80::1%eth0 2001:db8::25 49152 25\r\n"), -1, "source is"},
	{INPUT("PROXY TCP6 2001:db8::1 fe80::1%1 49152 25\r\n"), -1, "destination is"},
	{INPUT("PROXY TCP6 [2001:db8::1] 2001:db8::25 49152 25\r\n"), -1, "source is"},
	{INPUT("PROXY TCP6 2001::db8::1 2001:db8::25 49152 25\r\n"), -1, "source is"},
	{INPUT("PROXY TCP6 1:2:3:4:5:6:7:8:9 2001:db8::25 49152 25\r\n"), -1, "source is"},
	{INPUT("PROXY TCP6 1:2:3:4:5:6:7:00008 2001:db8::25 49152 25\r\n"), -1, "source is"},
	{INPUT("PROXY TCP4 203.0.113.7 192.0.2.25 65536 25\r\n"), -1, "source port"},
	{INPUT("PROXY TCP4 203.0.113.7 192.0.2.25 1 65536\r\n"), -1, "destination port"},
	{INPUT("PROXY TCP4 203.0.113.7 192.0.2.25 4294967297 25\r\n"), -1, "source port"},
	{INPUT("PROXY TCP4 203.0.113.7 192.0.2.25 01 25\r\n"), -1, "source port"},
	{INPUT("PROXY TCP4 203.0.113.7 192.0.2.25 00 25\r\n"), -1, "source port"},
	{INPUT("PROXY TCP4 203.0.113.7 192.0.2.25 1 025\r\n"), -1, "destination port"},
	{INPUT("PROXY TCP4 203.0.113.7 192.0.2.25 -1 25\r\n"), -1, "source port"},
	{INPUT("PROXY TCP4 203.0.113.7 192.0.2.25 +1 25\r\n"), -1, "source port"},
	{INPUT("PROXY TCP4 203.0.113.7 192.0.2.25 1a 25\r\n"), -1, "source port"},
	{INPUT("PROXY TCP4 203.0.113.7 192.0.2.25 49152 25\r\r\n"), -1, "destination port"},
	{INPUT("PROXY TCP4 203.0.113.7 192.0.2.25 49152 25\n\r\n"), -1, "destination port"},
	{INPUT("PROXY TCP4 203.0.113.7 192.0.2.25 49152 25\0\r\n"), -1, "NUL"},
	{INPUT("PROXY TCP4 203.0.113.7 192.0.2.25 49152 25                                       "
	       "                                                             \r\n"),
		-1, "107 bytes"},
	/* Version 2. */
	{V2("\x21\x11\x00\x0C" V4_PAIR), ALL, "203.0.113.7:49152 192.0.2.25:25"},
	{V2("\x21\x11\x00\x0C" V4_PAIR "PROXY TCP4"), 28, "203.0.113.7:49152 192.0.2.25:25"},
	{V2("\x21\x21\x00\x24" V6_PAIR), ALL, "[2001:db8::1]:1025 [2001:db8::25]:587"},
	{V2("\x21\x21\x00\x24" MAPPED "\xCB\x00\x71\x07" MAPPED "\xC0\x00\x02\x19\0\1\0\x19"), ALL,
		"203.0.113.7:1 192.0.2.25:25"},
	{V2("\x21\x21\x00\x24" MAPPED "\xCB\x00\x71\x07" ZEROS_12 "\0\0\0\1\0\1\0\x19"), -1,
		"different families"},
	/* ... LOCAL: the family is ignored, and whether there are addresses is uncertain. */
	{V2("\x20\x00\x00\x00"), OWN, ""},
	{V2("\x20\x00\x00\x00NOOP\r\n"), OWN, ""},
	{V2("\x20\x11\x00\x00"), OWN, ""},
	{V2("\x20\xFF\x00\x00"), OWN, ""},
	{V2("\x20\x11\x00\x0C" V4_PAIR), OWN, ""},
	{V2("\x20\x21\x00\x24" V6_PAIR), OWN, ""},
	{V2("\x20\x31\x00\xD8" ZEROS_216), OWN, ""},
	{V2("\x20\x11\x00\x10" V4_PAIR "\x04\x00\x01x"), OWN, ""},
	{V2("\x20\x11\x00\x03\x04\x00\x00"), OWN, ""},
	{V2("\x20\x00\x00\x05\x04\x00\x02xy"), OWN, ""},
	{V2("\x20\x00\x00\x05\x04\x00\x03xy"), -1, "past the end"},
	{V2("\x20\x00\x00\x07\x03\x00\x04\xDD\xDD\xDD\xDD"), -1, "checksum is wrong"},
	/* ... all that is not TCP over IP. */
	{V2("\x21\x00\x00\x00"), OWN, ""},
	{V2("\x21\x00\x00\x05\x04\x00\x02xy"), OWN, ""},
	{V2("\x21\x00\x00\x01\x04"), -1, "TLV is cut short"},
	{V2("\x21\x01\x00\x00"), OWN, ""},
	{V2("\x21\x02\x00\x00"), OWN, ""},
	{V2("\x21\x10\x00\x0C" V4_PAIR), OWN, ""},
	{V2("\x21\x12\x00\x0C" V4_PAIR), OWN, ""},
	{V2("\x21\x20\x00\x24" V6_PAIR), OWN, ""},
	{V2("\x21\x22\x00\x24" V6_PAIR), OWN, ""},
	{V2("\x21\x22\x00\x24" MAPPED "\xCB\x00\x71\x07" ZEROS_12 "\0\0\0\1\0\1\0\x19"), OWN, ""},
	{V2("\x21\x30\x00\xD8" ZEROS_216), OWN, ""},
	{V2("\x21\x31\x00\xD8" ZEROS_216), OWN, ""},
	{V2("\x21\x32\x00\xDC" ZEROS_216 "\xE0\x00\x01x"), OWN, ""},
	/* ... not yet whole. */
	{INPUT("\r"), 0, ""},
	{INPUT(SIGNATURE), 0, ""},
	{V2("\x21\x11\x00"), 0, ""},
	{V2("\x21\x11\x00\x0C"), 0, ""},
	{V2("\x21\x11\x00\x0C\xCB\x00\x71\x07\xC0\x00\x02\x19\xC0\x00\x00"), 0, ""},
	{V2("\x21\x11\x00\x10" V4_PAIR), 0, ""},
	{V2("\x21\x11\x00\x10" V4_PAIR "\x04\x00\x01"), 0, ""},
	/* ... not well-formed. */
	{INPUT("\r\n\r\n\0\r\nQUIT\r"), -1, "no PROXY"},
	{INPUT("\r\n\r\n\r\n"), -1, "no PROXY"},
	{INPUT("\n"), -1, "no PROXY"},
	{V2("\x11\x11\x00\x0C" V4_PAIR), -1, "version is not 2"},
	{V2("\x31\x11\x00\x0C" V4_PAIR), -1, "version is not 2"},
	{V2("\x01\x11\x00\x0C" V4_PAIR), -1, "version is not 2"},
	{V2("\x22\x11\x00\x0C" V4_PAIR), -1, "neither LOCAL nor PROXY"},
	{V2("\x2F\x00\x00\x00"), -1, "neither LOCAL nor PROXY"},
	{V2("\x21\x41\x00\x0C" V4_PAIR), -1, "family is undefined"},
	{V2("\x21\xF1\x00\x0C" V4_PAIR), -1, "family is undefined"},
	{V2("\x21\x13\x00\x0C" V4_PAIR), -1, "transport protocol is undefined"},
	{V2("\x21\x03\x00\x00"), -1, "transport protocol is undefined"},
	{V2("\x21\x1F\x00\x0C" V4_PAIR), -1, "transport protocol is undefined"},
	{V2("\x21\x11\x00\x0B\xCB\x00\x71\x07\xC0\x00\x02\x19\xC0\x00\x00"), -1, "cut short"},
	{V2("\x21\x11\x00\x00"), -1, "addresses are cut short"},
	{V2("\x21\x21\x00\x23"), -1, "addresses are cut short"},
	{V2("\x21\x21\x00\x0C" V4_PAIR), -1, "addresses are cut short"},
	{V2("\x21\x12\x00\x0B"), -1, "addresses are cut short"},
	{V2("\x21\x31\x00\xD7"), -1, "addresses are cut short"},
	/* TLVs. */
	{V2("\x21\x11\x00\x0F" V4_PAIR "\x04\x00\x00"), ALL, "203.0.113.7:49152 192.0.2.25:25"},
	{V2("\x21\x11\x00\x19" V4_PAIR "\x04\x00\x00\x04\x00\x01\x03\xE3\x00\x03"
	    "abc"),
		ALL, "203.0.113.7:49152 192.0.2.25:25"},
	{V2("\x21\x11\x00\x0D" V4_PAIR "\x04"), -1, "TLV is cut short"},
	{V2("\x21\x11\x00\x0E" V4_PAIR "\x04\x00"), -1, "TLV is cut short"},
	{V2("\x21\x11\x00\x0F" V4_PAIR "\x04\x00\x01x"), -1, "TLV goes past the end"},
	{V2("\x21\x11\x00\x10" V4_PAIR "\x04\x01\x00x"), -1, "TLV goes past the end"},
	{V2("\x21\x11\x00\x11" V4_PAIR "\x04\x00\x01xy"), -1, "TLV is cut short"},
	{V2("\x21\x11\x00\x0F" V4_PAIR "\xFF\xFF\xFF"), -1, "TLV goes past the end"},
	/* ... SSL. */
	{V2("\x21\x11\x00\x14" V4_PAIR "\x20\x00\x05\x01\0\0\0\0"), ALL,
		"203.0.113.7:49152 192.0.2.25:25"},
	{V2("\x21\x11\x00\x20" V4_PAIR "\x20\x00\x11\x01\0\0\0\0\x21\x00\x03T12\x22\x00\x00\x03\x00"
	    "\x00"),
		ALL, "203.0.113.7:49152 192.0.2.25:25"},
	{V2("\x21\x11\x00\x17" V4_PAIR "\x20\x00\x05\x01\0\0\0\0\x04\x00\x00"), ALL,
		"203.0.113.7:49152 192.0.2.25:25"},
	/* ... a type within it is another than outside. */
	{V2("\x21\x11\x00\x17" V4_PAIR "\x20\x00\x08\x01\0\0\0\0\x20\x00\x00"), ALL,
		"203.0.113.7:49152 192.0.2.25:25"},
	{V2("\x21\x11\x00\x0F" V4_PAIR "\x20\x00\x00"), -1, "SSL TLV is too short"},
	{V2("\x21\x11\x00\x13" V4_PAIR "\x20\x00\x04\x01\0\0\0"), -1, "SSL TLV is too short"},
	{V2("\x21\x11\x00\x15" V4_PAIR "\x20\x00\x06\x01\0\0\0\0\x21"), -1, "TLV is cut short"},
	{V2("\x21\x11\x00\x16" V4_PAIR "\x20\x00\x07\x01\0\0\0\0\x21\x00"), -1, "TLV is cut short"},
	{V2("\x21\x11\x00\x18" V4_PAIR "\x20\x00\x09\x01\0\0\0\0\x21\x00\x02T"), -1,
		"past the end"},
	/* ... past the end of the SSL TLV, though not of the header. */
	{V2("\x21\x11\x00\x1B" V4_PAIR "\x20\x00\x09\x01\0\0\0\0\x21\x00\x04T\x04\x00\x00"), -1,
		"past the end"},
	{V2("\x21\x11\x00\x14" V4_PAIR "\x20\x00\x06\x01\0\0\0\0"), -1, "past the end"},
	/* ... CRC32C; right ones are made below. */
	{V2("\x21\x11\x00\x13" V4_PAIR "\x03\x00\x04\0\0\0\0"), -1, "checksum is wrong"},
	{V2("\x21\x11\x00\x12" V4_PAIR "\x03\x00\x03\0\0\0"), -1, "not of 4 bytes"},
	{V2("\x21\x11\x00\x14" V4_PAIR "\x03\x00\x05\0\0\0\0\0"), -1, "not of 4 bytes"},
	{V2("\x21\x11\x00\x0F" V4_PAIR "\x03\x00\x00"), -1, "not of 4 bytes"},
	{V2("\x21\x11\x00\x1A" V4_PAIR "\x03\x00\x04\0\0\0\0\x03\x00\x04\0\0\0\0"), -1,
		"two checksums"},
};

/* A buffer whose last byte is the last that is mapped. */
static uint8_t *
guarded(size_t size)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	size_t whole = (size + page - 1) / page * page;
	uint8_t *at = mmap(
		NULL, whole + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ck_assert_ptr_ne(at, MAP_FAILED);
	ck_assert_int_eq(mprotect(at + whole, page, PROT_NONE), 0);
	return at + whole;
}

/* Feeds pieces that end at each cut, and then the rest, as a session would: no more once there is
 * a result. Each ends where the mapped memory does. */
static ssize_t
feed(struct proxy_reader *reader, const uint8_t *input, size_t len, const size_t *cuts,
	size_t count)
{
	static uint8_t *end;
	if (!end)
		end = guarded(1 << 17);
	proxy_reader_init(reader);
	size_t start = 0;
	for (size_t i = 0; i <= count; i++) {
		size_t stop = i < count ? cuts[i] : len;
		if (stop == start)
			continue;
		memcpy(end - (stop - start), input + start, stop - start);
		ssize_t taken = proxy_reader_feed(reader, end - (stop - start), stop - start);
		if (taken != 0)
			return taken < 0 ? -1 : (ssize_t)start + taken;
		start = stop;
	}
	return 0;
}

static ssize_t
feed_bytes(struct proxy_reader *reader, const uint8_t *input, size_t len)
{
	size_t *cuts = malloc((len + 1) * sizeof(*cuts));
	for (size_t i = 0; i < len; i++)
		cuts[i] = i + 1;
	ssize_t result = feed(reader, input, len, cuts, len);
	free(cuts);
	return result;
}

/* That reader and oracle say the same. */
static bool
agrees(const struct proxy_reader *reader, ssize_t result, const struct oracle *oracle,
	ssize_t expected)
{
	if (result != expected || (result < 0) != (reader->why != NULL))
		return false;
	if (result <= 0)
		return true;
	if (reader->announced != oracle->announced)
		return false;
	if (!reader->announced)
		return true;
	enum addr_family family = oracle->family == AF_INET ? ADDR_V4 : ADDR_V6;
	return reader->source.addr.family == family && reader->destination.addr.family == family &&
	       memcmp(reader->source.addr.bytes, oracle->source, 16) == 0 &&
	       memcmp(reader->destination.addr.bytes, oracle->destination, 16) == 0 &&
	       reader->source.port == oracle->source_port &&
	       reader->destination.port == oracle->destination_port;
}

static void
assert_row(size_t row, const struct proxy_reader *reader, ssize_t result)
{
	char source[ENDPOINT_TEXT_MAX], destination[ENDPOINT_TEXT_MAX];
	char text[2 * ENDPOINT_TEXT_MAX];
	ssize_t expected = rows[row].result;
	size_t len = expected > 0 ? (size_t)expected : rows[row].len;
	if (expected == -1) {
		ck_assert_int_eq(result, -1);
		ck_assert_msg(strstr(reader->why, rows[row].text) != NULL,
			"row %zu: \"%s\", not \"%s\"", row, reader->why, rows[row].text);
		return;
	}
	ck_assert_ptr_null(reader->why);
	ck_assert_uint_eq(reader->total, expected == OWN ? (size_t)result : len);
	if (expected == OWN) {
		ck_assert_int_gt(result, 0);
		ck_assert(!reader->announced);
		return;
	}
	ck_assert_int_eq(result, expected ? (ssize_t)len : 0);
	ck_assert(reader->announced == (expected != 0));
	if (expected == 0)
		return;
	snprintf(text, sizeof(text), "%s %s", endpoint_format(&reader->source, source),
		endpoint_format(&reader->destination, destination));
	ck_assert_str_eq(text, rows[row].text);
}

START_TEST(splits)
{
	const uint8_t *input = (const uint8_t *)rows[_i].input;
	size_t len = rows[_i].len;
	struct proxy_reader reader;
	struct oracle oracle;
	ssize_t expected = oracle_read(input, len, &oracle);
	for (size_t cut = 0; cut <= len; cut++) {
		ssize_t result = feed(&reader, input, len, &cut, 1);
		assert_row((size_t)_i, &reader, result);
		ck_assert(agrees(&reader, result, &oracle, expected));
	}
	assert_row((size_t)_i, &reader, feed_bytes(&reader, input, len));
	/* As far as it goes, at every length. */
	for (size_t part = 1; part <= len; part++) {
		expected = oracle_read(input, part, &oracle);
		ssize_t result = feed(&reader, input, part, NULL, 0);
		ck_assert_msg(agrees(&reader, result, &oracle, expected), "%zu bytes: %zd, not %zd",
			part, result, expected);
	}
}
END_TEST

START_TEST(crc32c)
{
	/* The usual check value, and the zeros and ones of RFC 3720 appendix B.4. */
	static const struct {
		const char *bytes;
		size_t len;
		uint32_t checksum;
	} vectors[] = {
		{INPUT(""), 0},
		{INPUT("123456789"), 0xE3069283},
		{INPUT(ZEROS_12 ZEROS_12 "\0\0\0\0\0\0\0\0"), 0x8A9136AA},
		{INPUT("\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF"
		       "\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF"),
			0x62A8AB43},
	};
	for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++) {
		uint32_t running = CRC32C_BEGIN;
		for (size_t at = 0; at < vectors[i].len; at++)
			running = crc32c_add(running, (uint8_t)vectors[i].bytes[at]);
		ck_assert_uint_eq(crc32c_end(running), vectors[i].checksum);
	}
}
END_TEST

/* A version 2 header in the making. */
struct header {
	uint8_t bytes[16 + 65535 + 16];
	size_t len;
	size_t checksum_at;
};

static void
put(struct header *header, const void *bytes, size_t len)
{
	memcpy(header->bytes + header->len, bytes, len);
	header->len += len;
}

static void
put_tlv(struct header *header, uint8_t type, size_t len)
{
	uint8_t head[3] = {type, (uint8_t)(len >> 8), (uint8_t)len};
	put(header, head, sizeof(head));
	memset(header->bytes + header->len, 'v', len);
	header->len += len;
}

static void
put_checksum(struct header *header)
{
	put_tlv(header, 0x03, 4);
	header->checksum_at = header->len - 4;
}

static void
begin(struct header *header)
{
	header->len = header->checksum_at = 0;
	put(header, INPUT(SIGNATURE "\x21\x11\0\0" V4_PAIR));
}

/* Fills length and checksum in. */
static void
finish(struct header *header)
{
	header->bytes[14] = (uint8_t)((header->len - 16) >> 8);
	header->bytes[15] = (uint8_t)(header->len - 16);
	if (!header->checksum_at)
		return;
	uint32_t crc = htonl(oracle_crc32c(header->bytes, header->len, header->checksum_at));
	memcpy(header->bytes + header->checksum_at, &crc, 4);
}

static struct header header;

/* The checksum first, in the middle and last; any single wrong bit shows, but for those that make
 * another TLV of it. */
START_TEST(checksums)
{
	struct proxy_reader reader;
	for (int place = 0; place < 3; place++) {
		begin(&header);
		for (int i = 0; i < 3; i++) {
			if (i == place)
				put_checksum(&header);
			else
				put_tlv(&header, 0x04, 5);
		}
		finish(&header);
		ck_assert_int_eq(
			feed_bytes(&reader, header.bytes, header.len), (ssize_t)header.len);
		ck_assert_uint_eq(reader.source.port, 49152);
		for (size_t bit = 16 * 8; bit < header.len * 8; bit++) {
			if (bit / 8 == header.checksum_at - 3)
				continue;
			header.bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
			ssize_t result = feed(&reader, header.bytes, header.len, NULL, 0);
			header.bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
			ck_assert_msg(result == -1, "bit %zu", bit);
		}
	}
}
END_TEST

/* One within SSL is none. */
START_TEST(checksum_within_ssl)
{
	struct proxy_reader reader;
	begin(&header);
	put_tlv(&header, 0x20, 5 + 7);
	memcpy(header.bytes + header.len - 7, "\x03\0\4zero", 7);
	put_checksum(&header);
	finish(&header);
	ck_assert_int_eq(feed_bytes(&reader, header.bytes, header.len), (ssize_t)header.len);
}
END_TEST

/* All that a length field can say, in pieces of all sizes. */
START_TEST(longest)
{
	static const size_t sizes[] = {1, 7, 536, 1460, 16384, 65536};
	struct proxy_reader reader;
	begin(&header);
	put_checksum(&header);
	put_tlv(&header, 0x04, 65535 - (header.len - 16) - 3);
	finish(&header);
	ck_assert_uint_eq(header.len, 16 + 65535);
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		proxy_reader_init(&reader);
		ssize_t taken = 0;
		size_t at = 0;
		for (; taken == 0 && at < header.len; at += sizes[i]) {
			size_t left = header.len - at;
			taken = proxy_reader_feed(
				&reader, header.bytes + at, left < sizes[i] ? left : sizes[i]);
		}
		ck_assert_int_gt(taken, 0);
		ck_assert_uint_eq(at - sizes[i] + (size_t)taken, header.len);
		ck_assert(reader.announced);
	}
	ck_assert_int_eq(feed(&reader, header.bytes, header.len - 1, NULL, 0), 0);
}
END_TEST

static void
random_endpoint(struct endpoint *endpoint, enum addr_family family)
{
	*endpoint = (struct endpoint){.addr.family = family, .port = (uint16_t)random()};
	for (size_t i = 0; i < addr_bits(family) / 8; i++)
		/* Zeros often, so that :: stands everywhere. */
		endpoint->addr.bytes[i] = random() % 3 ? (uint8_t)random() : 0;
}

/* What we write is what we read. */
START_TEST(round_trip)
{
	enum { SEED = 20261124, ROUNDS = 20000 };
	srandom(SEED);
	for (int i = 0; i < ROUNDS; i++) {
		enum addr_family family = i % 2 ? ADDR_V4 : ADDR_V6;
		enum proxy_version version = i / 2 % 2 ? PROXY_V1 : PROXY_V2;
		struct endpoint source, destination;
		uint8_t buf[PROXY_HEADER_MAX];
		struct proxy_reader reader;
		random_endpoint(&source, family);
		random_endpoint(&destination, family);
		size_t len = proxy_encode(buf, version, &source, &destination);
		size_t cut = (size_t)random() % len;
		ck_assert_int_eq(feed(&reader, buf, len, &cut, 1), (ssize_t)len);
		ck_assert_msg(reader.announced && endpoint_equal(&reader.source, &source) &&
				      endpoint_equal(&reader.destination, &destination),
			"seed %d round %d: another endpoint came out", SEED, i);
	}
}
END_TEST

/* Lines over the words that matter. */
static size_t
random_line(uint8_t *input)
{
	static const char *const words[] = {"203.0.113.7", " ", "2001:db8::1", "::ffff:1.2.3.4",
		"65535", "\r\n", "0", "PROXY ", "TCP4 ", "TCP6 ", "UNKNOWN", "1", "\r", "\n", "x",
		":", "."};
	static const char *const starts[] = {"PROXY ", "PROXY TCP4 ", "PROXY TCP6 ",
		"PROXY UNKNOWN", "PROXY TCP4 1.2.3.4 203.0.113.7 ", "PROXY TCP6 ::1 ::2 ",
		"PROXY TCP4 1.2.3.4 203.0.113.7 25 "};
	char text[256];
	size_t len = (size_t)snprintf(text, sizeof(text), "%s",
		starts[(size_t)random() % (sizeof(starts) / sizeof(starts[0]))]);
	for (size_t want = (size_t)random() % 8; want > 0; want--) {
		size_t kinds = sizeof(words) / sizeof(words[0]);
		const char *word = words[(size_t)random() % (random() % 2 ? 6 : kinds)];
		len += (size_t)snprintf(text + len, sizeof(text) - len, "%s", word);
	}
	memcpy(input, text, len);
	return len;
}

/* Headers with random TLVs, some of which do not fit. */
static size_t
random_v2(uint8_t *input)
{
	static const uint8_t types[] = {0x03, 0x04, 0x20, 0x21, 0xE3};
	begin(&header);
	for (size_t want = (size_t)random() % 4; want > 0; want--) {
		uint8_t type = types[(size_t)random() % sizeof(types)];
		if (type == 0x03 && random() % 8)
			put_checksum(&header);
		else
			put_tlv(&header, type, (size_t)random() % 12);
		if (type == 0x20)
			for (size_t i = 1; i <= 6 && i < header.len; i++)
				header.bytes[header.len - i] = (uint8_t)(random() % 4);
	}
	finish(&header);
	if (random() % 2) {
		size_t at = 12 + (size_t)random() % (header.len - 12);
		header.bytes[at] = (uint8_t)(random() % 2 ? random() : random() % 0x40);
	}
	memcpy(input, header.bytes, header.len);
	return header.len;
}

START_TEST(random_inputs)
{
	enum { SEED = 107, ROUNDS = 200000 };
	uint8_t input[512];
	srandom(SEED);
	for (int round = 0; round < ROUNDS; round++) {
		size_t len = round % 2 ? random_line(input) : random_v2(input);
		size_t cuts[2] = {(size_t)random() % len, len};
		struct proxy_reader reader;
		struct oracle oracle;
		ssize_t expected = oracle_read(input, len, &oracle);
		ssize_t result = feed(&reader, input, len, cuts, 2);
		ck_assert_msg(agrees(&reader, result, &oracle, expected),
			"seed %d round %d: %zd, not %zd", SEED, round, result, expected);
	}
}
END_TEST

static void
fill(TCase *cases)
{
	tcase_add_loop_test(cases, splits, 0, sizeof(rows) / sizeof(rows[0]));
	tcase_add_test(cases, crc32c);
	tcase_add_test(cases, checksums);
	tcase_add_test(cases, checksum_within_ssl);
	tcase_add_test(cases, longest);
	tcase_add_test(cases, round_trip);
	tcase_add_test(cases, random_inputs);
}

UNIT_MAIN("proxy_reader", fill)

/*
 * Addresses, prefixes and endpoints: what is taken, what is refused and with which advice.
 */
#include "tests/unit/unit.h"

#include "acl/addr.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

#define ROWS(table) (sizeof(table) / sizeof(*(table)))

struct text_row {
	const char *in;
	const char *out; /* as formatted again; NULL: refused */
};

static const struct text_row addrs[] = {
	{"0.0.0.0", "0.0.0.0"},
	{"255.255.255.255", "255.255.255.255"},
	{"203.0.113.7", "203.0.113.7"},
	{"::", "::"},
	{"::1", "::1"},
	{"2001:DB8:0:0:0:0:0:1", "2001:db8::1"},
	{"2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"},
	{"2001:0:0:1:0:0:0:1", "2001:0:0:1::1"},
	{"::ffff:192.0.2.1", "192.0.2.1"},
	{"::ffff:c000:201", "192.0.2.1"},
	{"0:0:0:0:0:ffff:c000:0201", "192.0.2.1"},
	{"::fffe:c000:201", "::fffe:c000:201"},
	{"", NULL},
	{" 192.0.2.1", NULL},
	{"192.0.2.1 ", NULL},
	{"192.0.2", NULL},
	{"192.0.2.01", NULL},
	{"192.0.2.256", NULL},
	{"192.0.2.1.1", NULL},
	{"0xc0000201", NULL},
	{"3221225985", NULL},
	{"[::1]", NULL},
	{"fe80::1%eth0", NULL},
	{"1:2:3:4:5:6:7", NULL},
	{"1::2::3", NULL},
	{"12345::", NULL},
	{"::ffff:192.0.2.01", NULL},
	{"localhost", NULL},
};

static void
check_addr_texts(const struct text_row *row)
{
	struct addr addr;
	char buf[ADDR_TEXT_MAX];
	if (row->out) {
		ck_assert_msg(addr_parse(&addr, row->in) == 0, "%s", row->in);
		ck_assert_str_eq(addr_format(&addr, buf), row->out);
	} else {
		ck_assert_msg(addr_parse(&addr, row->in) < 0, "%s", row->in);
	}
}

START_TEST(addr_texts)
{
	for (size_t i = 0; i < ROWS(addrs); i++)
		check_addr_texts(&addrs[i]);
}
END_TEST

struct prefix_row {
	const char *in;
	const char *out; /* as formatted again; NULL: refused */
	const char *why; /* a part of the reason */
};

static const struct prefix_row prefixes[] = {
	{"203.0.113.0/24", "203.0.113.0/24", NULL},
	{"203.0.113.7", "203.0.113.7/32", NULL},
	{"0.0.0.0/0", "0.0.0.0/0", NULL},
	{"128.0.0.0/1", "128.0.0.0/1", NULL},
	{"10.0.0.0/08", "10.0.0.0/8", NULL},
	{"::/0", "::/0", NULL},
	{"2001:db8::1", "2001:db8::1/128", NULL},
	{"2001:db8:12::/48", "2001:db8:12::/48", NULL},
	{"[2001:db8::]/32", "2001:db8::/32", NULL},
	{"[2001:db8::/32]", "2001:db8::/32", NULL},
	{"[::1]", "::1/128", NULL},
	{"[10.0.0.0]/8", "10.0.0.0/8", NULL},
	{"::ffff:10.0.0.0/104", "10.0.0.0/8", NULL},
	{"::ffff:0:0/96", "0.0.0.0/0", NULL},
	{"[2001:0db8:1111:2222:3333:4444:255.255.255.255]/128",
		"2001:db8:1111:2222:3333:4444:ffff:ffff/128", NULL},
	{"::ffff:192.0.2.1", "192.0.2.1/32", NULL},
	{"::fffe:0:0/95", "::fffe:0:0/95", NULL},
	{"10.0.0.1/8", NULL, "host bits are set; write 10.0.0.0/8, or 10.0.0.1 for"},
	{"10.0.0.1/0", NULL, "write 0.0.0.0/0, or"},
	{"10.0.0.1/31", NULL, "write 10.0.0.0/31, or"},
	{"2001:db8::1/127", NULL, "write 2001:db8::/127, or 2001:db8::1 for"},
	{"[2001:db8::1]/32", NULL, "write [2001:db8::]/32, or [2001:db8::1] for"},
	{"::ffff:10.0.0.1/104", NULL, "write 10.0.0.0/8, or 10.0.0.1 for"},
	{"::ffff:0:0/95", NULL, "write ::fffe:0:0/95"},
	{"10.0.0.0/0008", NULL, "a number from 0 to 32"},
	{"10.0.0.0/33", NULL, "a number from 0 to 32"},
	{"10.0.0.0/-1", NULL, "a number from 0 to 32"},
	{"10.0.0.0/", NULL, "a number from 0 to 32"},
	{"10.0.0.0/8/8", NULL, "a number from 0 to 32"},
	{"10.0.0.0/+8", NULL, "a number from 0 to 32"},
	{"10.0.0.0/99999999999999999999", NULL, "a number from 0 to 32"},
	{"::/129", NULL, "a number from 0 to 128"},
	{"::/ffff::", NULL, "a number from 0 to 128"},
	{"10.0.0.0/255.0.0.0", NULL, "netmasks are not taken; write 10.0.0.0/8"},
	{"10.1.2.3/255.255.0.0", NULL, "netmasks are not taken; write 10.1.0.0/16"},
	{"10.0.0.1/255.255.255.255", NULL, "netmasks are not taken; write 10.0.0.1/32"},
	{"10.1.7.3/255.255.252.0", NULL, "netmasks are not taken; write 10.1.4.0/22"},
	{"10.255.0.0/255.192.0.0", NULL, "netmasks are not taken; write 10.192.0.0/10"},
	{"10.1.2.255/255.255.255.254", NULL, "netmasks are not taken; write 10.1.2.254/31"},
	{"10.0.0.0/1.0.0.0", NULL, "write ADDRESS/LENGTH"},
	{"10.0.0.0/0.255.255.255", NULL, "write ADDRESS/LENGTH"},
	{"10.0.0.0/255.0.255.0", NULL, "write ADDRESS/LENGTH"},
	{"10.0.0.1-10.0.0.9", NULL, "ranges are not taken"},
	{"mail.example.jp", NULL, "names are not resolved"},
	{"localhost", NULL, "names are not resolved"},
	{".example.jp", NULL, "names are not resolved"},
	{"10.0.0/24", NULL, "write it in full"},
	{"10.0.0.010", NULL, "without leading zeros"},
	{"10.0.0.1:25", NULL, "not an IPv4 or IPv6 address"},
	{"fe80::1%eth0", NULL, "no zone"},
	{"[::1", NULL, "not an IPv4 or IPv6 address"},
	{"[::1]x", NULL, "not an IPv4 or IPv6 address"},
	{"[10.0.0.]1", NULL, "not an IPv4 or IPv6 address"},
	{"[::/32]/32", NULL, "a number from 0 to 128"},
	{"[]", NULL, "not an IPv4 or IPv6 address"},
	{"", NULL, "not an IPv4 or IPv6 address"},
	{"[0000:0000:0000:0000:0000:0000:0000:0001]/"
	 "00000000000000000000000000000000000000000000000000128",
		NULL, "not an IPv4 or IPv6 address"},
	{"/8", NULL, "not an IPv4 or IPv6 address"},
};

static void
check_prefix_texts(const struct prefix_row *row)
{
	struct prefix prefix;
	char why[PREFIX_WHY_MAX] = "";
	char buf[PREFIX_TEXT_MAX];
	int parsed = prefix_parse(&prefix, row->in, why);
	if (row->out) {
		ck_assert_msg(parsed == 0, "%s: %s", row->in, why);
		ck_assert_str_eq(prefix_format(&prefix, buf), row->out);
	} else {
		ck_assert_msg(parsed < 0, "%s", row->in);
		ck_assert_msg(strstr(why, row->why), "%s: %s", row->in, why);
	}
}

START_TEST(prefix_texts)
{
	for (size_t i = 0; i < ROWS(prefixes); i++)
		check_prefix_texts(&prefixes[i]);
}
END_TEST

START_TEST(prefix_of_any_length)
{
	char text[5000];
	struct prefix prefix;
	char why[PREFIX_WHY_MAX];
	for (size_t len = 0; len < sizeof(text); len++) {
		memset(text, '1', len);
		text[len] = '\0';
		ck_assert_int_eq(prefix_parse(&prefix, text, why), -1);
		if (len)
			text[0] = '[';
		ck_assert_int_eq(prefix_parse(&prefix, text, why), -1);
	}
}
END_TEST

struct contains_row {
	const char *prefix, *addr;
	bool contains;
};

static const struct contains_row containments[] = {
	{"10.0.0.0/8", "10.255.255.255", true},
	{"10.0.0.0/8", "11.0.0.0", false},
	{"10.0.0.0/8", "9.255.255.255", false},
	{"192.0.2.128/25", "192.0.2.128", true},
	{"192.0.2.128/25", "192.0.2.127", false},
	{"0.0.0.0/0", "255.255.255.255", true},
	{"192.0.2.1/32", "192.0.2.1", true},
	{"192.0.2.1/32", "192.0.2.0", false},
	{"2001:db8::/33", "2001:db8:7fff::", true},
	{"2001:db8::/33", "2001:db8:8000::", false},
	{"::1/128", "::1", true},
	{"::1/128", "::", false},
	{"::/0", "ffff::", true},
	{"::/0", "192.0.2.1", false},
	{"::/0", "::ffff:192.0.2.1", false},
	{"::/64", "::ffff:192.0.2.1", false},
	{"0.0.0.0/0", "::", false},
	{"0.0.0.0/0", "::ffff:192.0.2.1", true},
	{"::ffff:192.0.2.0/120", "192.0.2.77", true},
};

static void
check_prefix_containment(const struct contains_row *row)
{
	struct prefix prefix;
	struct addr addr;
	char why[PREFIX_WHY_MAX];
	ck_assert_int_eq(prefix_parse(&prefix, row->prefix, why), 0);
	ck_assert_int_eq(addr_parse(&addr, row->addr), 0);
	ck_assert_msg(
		prefix_contains(&prefix, &addr) == row->contains, "%s %s", row->prefix, row->addr);
}

START_TEST(prefix_containment)
{
	for (size_t i = 0; i < ROWS(containments); i++)
		check_prefix_containment(&containments[i]);
}
END_TEST

static const struct text_row endpoints[] = {
	{"192.0.2.1:25", "192.0.2.1:25"},
	{"0.0.0.0:65535", "0.0.0.0:65535"},
	{"[::]:25", "[::]:25"},
	{"[2001:DB8::1]:587", "[2001:db8::1]:587"},
	{"[::ffff:192.0.2.1]:25", "192.0.2.1:25"},
	{"192.0.2.1", NULL},
	{"192.0.2.1:", NULL},
	{"192.0.2.1:0", NULL},
	{"192.0.2.1:65536", NULL},
	{"192.0.2.1:999999", NULL},
	{"192.0.2.1:1", "192.0.2.1:1"},
	{"192.0.2.1:00025", "192.0.2.1:25"},
	{"192.0.2.1:000025", NULL},
	{"192.0.2.1:-1", NULL},
	{"192.0.2.1:25x", NULL},
	{"192.0.2.1: 25", NULL},
	{"[192.0.2.1]:25", NULL},
	{"[::1]", NULL},
	{"[::1]25", NULL},
	{"[::1:25", NULL},
	{"::1:25", NULL},
	{"::1]:25", NULL},
	{"[]:25", NULL},
	{"[:25", NULL},
	{"]:25", NULL},
	{":25", NULL},
	{":", NULL},
	{"", NULL},
	{"localhost:25", NULL},
	{"[fe80::1%lo]:25", NULL},
	{"[11111111111111111111111111111111111111111111111111]:25", NULL},
};

static void
check_endpoint_texts(const struct text_row *row)
{
	struct endpoint endpoint;
	char buf[ENDPOINT_TEXT_MAX];
	if (row->out) {
		ck_assert_msg(endpoint_parse(&endpoint, row->in) == 0, "%s", row->in);
		ck_assert_str_eq(endpoint_format(&endpoint, buf), row->out);
	} else {
		ck_assert_msg(endpoint_parse(&endpoint, row->in) < 0, "%s", row->in);
	}
}

START_TEST(endpoint_texts)
{
	for (size_t i = 0; i < ROWS(endpoints); i++)
		check_endpoint_texts(&endpoints[i]);
}
END_TEST

START_TEST(endpoint_sockaddr)
{
	static const char *const texts[] = {"192.0.2.1:25", "[2001:db8::1]:587"};
	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
		struct endpoint there, back;
		struct sockaddr_storage storage;
		ck_assert_int_eq(endpoint_parse(&there, texts[i]), 0);
		socklen_t len = endpoint_to_sockaddr(&there, &storage);
		ck_assert_uint_eq(
			len, i ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in));
		ck_assert_int_eq(storage.ss_family, i ? AF_INET6 : AF_INET);
		endpoint_from_sockaddr(&back, (struct sockaddr *)&storage);
		ck_assert(endpoint_equal(&there, &back));
		back.port++;
		ck_assert(!endpoint_equal(&there, &back));
	}
}
END_TEST

START_TEST(endpoints_that_overlap)
{
	static const struct {
		const char *a, *b;
		bool overlap;
	} rows[] = {
		{"192.0.2.1:25", "192.0.2.1:25", true},
		{"192.0.2.1:25", "192.0.2.1:26", false},
		{"192.0.2.1:25", "192.0.2.2:25", false},
		{"192.0.2.1:25", "0.0.0.0:25", true},
		{"0.0.0.0:25", "0.0.0.0:25", true},
		{"192.0.2.1:25", "0.0.0.0:26", false},
		{"[2001:db8::1]:25", "[::]:25", true},
		{"[::]:25", "0.0.0.0:25", false},
		{"192.0.2.1:25", "[::]:25", false},
		{"[2001:db8::1]:25", "0.0.0.0:25", false},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct endpoint a, b;
		ck_assert_int_eq(endpoint_parse(&a, rows[i].a), 0);
		ck_assert_int_eq(endpoint_parse(&b, rows[i].b), 0);
		ck_assert_msg(endpoint_overlaps(&a, &b) == rows[i].overlap, "row %zu", i);
		ck_assert_msg(endpoint_overlaps(&b, &a) == rows[i].overlap, "row %zu", i);
	}
}
END_TEST

START_TEST(endpoint_of_a_mapped_peer)
{
	struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(4711)};
	struct endpoint endpoint;
	char buf[ENDPOINT_TEXT_MAX];
	ck_assert_int_eq(inet_pton(AF_INET6, "::ffff:203.0.113.7", &in6.sin6_addr), 1);
	endpoint_from_sockaddr(&endpoint, (struct sockaddr *)&in6);
	ck_assert_int_eq(endpoint.addr.family, ADDR_V4);
	ck_assert_str_eq(endpoint_format(&endpoint, buf), "203.0.113.7:4711");
	for (size_t i = 4; i < sizeof(endpoint.addr.bytes); i++)
		ck_assert_uint_eq(endpoint.addr.bytes[i], 0);
}
END_TEST

START_TEST(endpoint_of_no_ip)
{
	struct sockaddr sa = {.sa_family = AF_UNIX};
	struct endpoint endpoint;
	char buf[ENDPOINT_TEXT_MAX];
	endpoint_from_sockaddr(&endpoint, &sa);
	ck_assert_int_eq(endpoint.addr.family, ADDR_NONE);
	ck_assert_str_eq(endpoint_format(&endpoint, buf), "-");
}
END_TEST

/* Nothing but family, address and port goes from one form to the other. */
START_TEST(sockaddrs_without_padding)
{
	struct sockaddr_in in, expected = {.sin_family = AF_INET, .sin_port = htons(25)};
	struct sockaddr_storage storage;
	struct endpoint endpoint, wanted;
	inet_pton(AF_INET, "192.0.2.1", &expected.sin_addr);
	memset(&in, 0xff, sizeof(in));
	in.sin_family = AF_INET;
	in.sin_port = htons(25);
	in.sin_addr = expected.sin_addr;
	endpoint_from_sockaddr(&endpoint, (struct sockaddr *)&in);
	ck_assert_int_eq(endpoint_parse(&wanted, "192.0.2.1:25"), 0);
	ck_assert(endpoint_equal(&endpoint, &wanted));
	memset(&storage, 0xff, sizeof(storage));
	ck_assert_uint_eq(endpoint_to_sockaddr(&endpoint, &storage), sizeof(expected));
	ck_assert_mem_eq(&storage, &expected, sizeof(expected));
}
END_TEST

static const struct {
	const char *addr, *prefix, *text;
} networks[] = {
	{"203.0.113.7", "203.0.113.7/32", "203.0.113.7"},
	{"0.0.0.0", "0.0.0.0/32", "0.0.0.0"},
	{"2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64", "2001:db8:1:2::/64"},
	{"2001:db8:1:ffff:ffff:ffff:ffff:ffff", "2001:db8:1:ffff::/64", "2001:db8:1:ffff::/64"},
	{"2001:db8:1:2::", "2001:db8:1:2::/64", "2001:db8:1:2::/64"},
	{"::1", "::/64", "::/64"},
};

START_TEST(network_of_a_host)
{
	struct addr addr;
	char text[PREFIX_TEXT_MAX];
	ck_assert_int_eq(addr_parse(&addr, networks[_i].addr), 0);
	struct prefix network = addr_network(&addr);
	ck_assert(prefix_contains(&network, &addr));
	ck_assert_str_eq(prefix_format(&network, text), networks[_i].prefix);
	ck_assert_str_eq(addr_network_format(&addr, text), networks[_i].text);
}
END_TEST

START_TEST(no_address)
{
	struct addr none = {.family = ADDR_NONE};
	char buf[ADDR_TEXT_MAX];
	ck_assert_uint_eq(addr_bits(ADDR_NONE), 0);
	ck_assert_uint_eq(addr_bits(ADDR_V4), 32);
	ck_assert_uint_eq(addr_bits(ADDR_V6), 128);
	ck_assert_str_eq(addr_format(&none, buf), "-");
	char text[PREFIX_TEXT_MAX];
	struct prefix network = addr_network(&none);
	ck_assert(addr_equal(&network.addr, &none));
	ck_assert_uint_eq(network.len, 0);
	ck_assert_str_eq(addr_network_format(&none, text), "-");
}
END_TEST

static void
fill(TCase *cases)
{
	tcase_add_test(cases, addr_texts);
	tcase_add_test(cases, prefix_texts);
	tcase_add_test(cases, prefix_of_any_length);
	tcase_add_test(cases, prefix_containment);
	tcase_add_test(cases, endpoint_texts);
	tcase_add_test(cases, endpoint_sockaddr);
	tcase_add_test(cases, endpoints_that_overlap);
	tcase_add_test(cases, endpoint_of_a_mapped_peer);
	tcase_add_test(cases, endpoint_of_no_ip);
	tcase_add_loop_test(cases, network_of_a_host, 0, sizeof(networks) / sizeof(networks[0]));
	tcase_add_test(cases, no_address);
	tcase_add_test(cases, sockaddrs_without_padding);
}

UNIT_MAIN("addr", fill)

/*
 * Addresses, prefixes and endpoints as values. Pure functions for any thread; no memory is owned.
 */
#include "acl/addr.h"

#include <arpa/inet.h>
#include <assert.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

static const uint8_t MAPPED[12] = {[10] = 0xff, [11] = 0xff};

enum {
	MAPPED_BITS = 8 * sizeof(MAPPED),
	PORT_DIGITS = 5,
	LENGTH_DIGITS = 3,
	HOST_V6_BITS = 64, /* RFC 4291 section 2.5.4: of a subnet, whose hosts choose the rest */
};

unsigned
addr_bits(enum addr_family family)
{
	switch (family) {
	case ADDR_NONE:
		return 0;
	case ADDR_V4:
		return 32;
	case ADDR_V6:
		return 128;
	}
	return 0;
}

static bool
is_mapped(const struct addr *addr)
{
	return addr->family == ADDR_V6 && memcmp(addr->bytes, MAPPED, sizeof(MAPPED)) == 0;
}

void
addr_fold(struct addr *addr)
{
	struct addr v4 = {.family = ADDR_V4};
	if (!is_mapped(addr))
		return;
	memcpy(v4.bytes, addr->bytes + sizeof(MAPPED), 4);
	*addr = v4;
}

/* A literal as it stands, mapped ones not folded. */
static int
parse_literal(struct addr *addr, const char *text)
{
	*addr = (struct addr){.family = strchr(text, ':') ? ADDR_V6 : ADDR_V4};
	int af = addr->family == ADDR_V6 ? AF_INET6 : AF_INET;
	return inet_pton(af, text, addr->bytes) == 1 ? 0 : -1;
}

int
addr_parse(struct addr *addr, const char *text)
{
	if (parse_literal(addr, text) < 0)
		return -1;
	addr_fold(addr);
	return 0;
}

bool
addr_equal(const struct addr *a, const struct addr *b)
{
	return a->family == b->family && memcmp(a->bytes, b->bytes, sizeof(a->bytes)) == 0;
}

bool
addr_is_wildcard(const struct addr *addr)
{
	struct addr wildcard = {.family = addr->family};
	return addr_equal(addr, &wildcard);
}

const char *
addr_format(const struct addr *addr, char buf[ADDR_TEXT_MAX])
{
	int af = addr->family == ADDR_V6 ? AF_INET6 : AF_INET;
	if (addr->family == ADDR_NONE)
		snprintf(buf, ADDR_TEXT_MAX, "-");
	else
		inet_ntop(af, addr->bytes, buf, ADDR_TEXT_MAX); /* fails only without room */
	return buf;
}

/* A decimal number of at most `digits` digits and nothing else, up to max; -1 for anything else. */
static int
parse_number(const char *text, size_t digits, int max)
{
	size_t len = strspn(text, "0123456789");
	if (len == 0 || len > digits || text[len])
		return -1;
	int number = 0;
	for (; *text; text++)
		number = number * 10 + (*text - '0');
	return number <= max ? number : -1;
}

static void
clear_host_bits(struct prefix *prefix)
{
	uint8_t *bytes = prefix->addr.bytes;
	size_t whole = prefix->len / 8;
	if (whole == sizeof(prefix->addr.bytes))
		return;
	bytes[whole] &= (uint8_t)(0xff00 >> prefix->len % 8);
	memset(bytes + whole + 1, 0, sizeof(prefix->addr.bytes) - whole - 1);
}

/* Copies text, or as much as there is room for, without Postfix's brackets: "[A]", "[A]/LENGTH" or
 * "[A/LENGTH]". */
static int
strip_brackets(char *plain, size_t size, const char *text)
{
	const char *close = strchr(text, ']');
	if (text[0] != '[' || !close || (close[1] && close[1] != '/'))
		return -1;
	snprintf(plain, size, "%.*s%s", (int)(close - text - 1), text + 1, close + 1);
	return 0;
}

static int
refuse_address(const char *text, char why[PREFIX_WHY_MAX])
{
	const char *reason = "not an IPv4 or IPv6 address; write it in full and without leading "
			     "zeros, like 192.0.2.0/24 or 2001:db8::/32";
	if (strchr(text, ':') && strchr(text, '%'))
		reason = "an address here takes no zone; leave out the % and what follows";
	else if (text[strspn(text, "0123456789./-")] == '\0' && strchr(text, '-'))
		reason = "ranges are not taken; write the prefixes that make it up";
	else if (!strpbrk(text, ":[]") && text[strspn(text, "0123456789./-")] != '\0')
		reason = "not an address, and names are not resolved; write the address";
	snprintf(why, PREFIX_WHY_MAX, "%s", reason);
	return -1;
}

/* What stands behind the / is no length: perhaps it is a netmask. */
static int
refuse_length(const struct addr *addr, const char *length, char why[PREFIX_WHY_MAX])
{
	struct addr mask;
	struct prefix prefix = {.addr = *addr};
	char text[PREFIX_TEXT_MAX];
	if (addr->family != ADDR_V4 || parse_literal(&mask, length) < 0) {
		snprintf(why, PREFIX_WHY_MAX,
			"the length after the / must be a number from 0 to %u",
			addr_bits(addr->family));
		return -1;
	}
	while (prefix.len < 32 && mask.bytes[prefix.len / 8] & (0x80 >> prefix.len % 8))
		prefix.len++;
	struct prefix ones = {.addr = mask, .len = prefix.len};
	clear_host_bits(&ones);
	clear_host_bits(&prefix);
	if (addr_equal(&ones.addr, &mask))
		snprintf(why, PREFIX_WHY_MAX, "netmasks are not taken; write %s",
			prefix_format(&prefix, text));
	else
		snprintf(why, PREFIX_WHY_MAX, "netmasks are not taken; write ADDRESS/LENGTH");
	return -1;
}

/* The brackets of a list that Postfix reads too are kept in what we propose. */
static int
refuse_host_bits(const struct addr *addr, const struct prefix *prefix, bool bracketed,
	char why[PREFIX_WHY_MAX])
{
	char network[ADDR_TEXT_MAX];
	char host[ADDR_TEXT_MAX];
	const char *open = bracketed ? "[" : "";
	const char *close = bracketed ? "]" : "";
	snprintf(why, PREFIX_WHY_MAX, "host bits are set; write %s%s%s/%u, or %s%s%s for the host",
		open, addr_format(&prefix->addr, network), close, prefix->len, open,
		addr_format(addr, host), close);
	return -1;
}

int
prefix_parse(struct prefix *prefix, const char *text, char why[PREFIX_WHY_MAX])
{
	char plain[2 * ADDR_TEXT_MAX];
	if (strip_brackets(plain, sizeof(plain), text) < 0)
		snprintf(plain, sizeof(plain), "%s", text);
	char *length = strchr(plain, '/');
	if (length)
		*length++ = '\0';

	struct addr addr;
	if (strlen(text) >= sizeof(plain) || parse_literal(&addr, plain) < 0)
		return refuse_address(text, why);
	int bits = (int)addr_bits(addr.family);
	int len = length ? parse_number(length, LENGTH_DIGITS, bits) : bits;
	if (len < 0)
		return refuse_length(&addr, length, why);
	if (is_mapped(&addr) && len >= MAPPED_BITS) {
		addr_fold(&addr);
		len -= MAPPED_BITS;
	}
	*prefix = (struct prefix){.addr = addr, .len = (uint8_t)len};
	clear_host_bits(prefix);
	if (!addr_equal(&prefix->addr, &addr))
		return refuse_host_bits(&addr, prefix, text[0] == '[', why);
	return 0;
}

bool
prefix_contains(const struct prefix *prefix, const struct addr *addr)
{
	if (prefix->addr.family != addr->family)
		return false;
	struct prefix network = {.addr = *addr, .len = prefix->len};
	clear_host_bits(&network);
	return addr_equal(&network.addr, &prefix->addr);
}

const char *
prefix_format(const struct prefix *prefix, char buf[PREFIX_TEXT_MAX])
{
	char addr[ADDR_TEXT_MAX];
	snprintf(buf, PREFIX_TEXT_MAX, "%s/%u", addr_format(&prefix->addr, addr), prefix->len);
	return buf;
}

struct prefix
addr_network(const struct addr *addr)
{
	struct prefix network = {.addr = *addr, .len = (uint8_t)addr_bits(addr->family)};
	if (addr->family == ADDR_V6) {
		network.len = HOST_V6_BITS;
		memset(network.addr.bytes + HOST_V6_BITS / 8, 0,
			sizeof(network.addr.bytes) - HOST_V6_BITS / 8);
	}
	return network;
}

const char *
addr_network_format(const struct addr *addr, char buf[PREFIX_TEXT_MAX])
{
	struct prefix network = addr_network(addr);
	return addr->family == ADDR_V6 ? prefix_format(&network, buf) : addr_format(addr, buf);
}

int
endpoint_parse(struct endpoint *endpoint, const char *text)
{
	char host[ADDR_TEXT_MAX];
	const char *colon = strrchr(text, ':');
	if (!colon)
		return -1;
	bool bracketed = text[0] == '[' && colon > text + 1 && colon[-1] == ']';
	const char *start = bracketed ? text + 1 : text;
	size_t len = (size_t)(colon - start) - bracketed;
	int port = parse_number(colon + 1, PORT_DIGITS, UINT16_MAX);
	if (len >= sizeof(host) || port < 1)
		return -1;
	memcpy(host, start, len);
	host[len] = '\0';
	/* Brackets are for IPv6, and IPv6 is for brackets: without them ::1:25 means two things. */
	if (bracketed != (strchr(host, ':') != NULL) || addr_parse(&endpoint->addr, host) < 0)
		return -1;
	endpoint->port = (uint16_t)port;
	return 0;
}

bool
endpoint_equal(const struct endpoint *a, const struct endpoint *b)
{
	return a->port == b->port && addr_equal(&a->addr, &b->addr);
}

bool
endpoint_overlaps(const struct endpoint *a, const struct endpoint *b)
{
	if (a->port != b->port || a->addr.family != b->addr.family)
		return false;
	return addr_equal(&a->addr, &b->addr) || addr_is_wildcard(&a->addr) ||
	       addr_is_wildcard(&b->addr);
}

const char *
endpoint_format(const struct endpoint *endpoint, char buf[ENDPOINT_TEXT_MAX])
{
	char addr[ADDR_TEXT_MAX];
	addr_format(&endpoint->addr, addr);
	switch (endpoint->addr.family) {
	case ADDR_NONE:
		snprintf(buf, ENDPOINT_TEXT_MAX, "-");
		break;
	case ADDR_V4:
		snprintf(buf, ENDPOINT_TEXT_MAX, "%s:%u", addr, endpoint->port);
		break;
	case ADDR_V6:
		snprintf(buf, ENDPOINT_TEXT_MAX, "[%s]:%u", addr, endpoint->port);
		break;
	}
	return buf;
}

void
endpoint_from_sockaddr(struct endpoint *endpoint, const struct sockaddr *sa)
{
	struct sockaddr_in in;
	struct sockaddr_in6 in6;
	*endpoint = (struct endpoint){.addr.family = ADDR_NONE};
	/* The caller's storage may be aligned for bytes only. */
	if (sa->sa_family == AF_INET) {
		memcpy(&in, sa, sizeof(in));
		endpoint->addr.family = ADDR_V4;
		memcpy(endpoint->addr.bytes, &in.sin_addr, 4);
		endpoint->port = ntohs(in.sin_port);
	} else if (sa->sa_family == AF_INET6) {
		memcpy(&in6, sa, sizeof(in6));
		endpoint->addr.family = ADDR_V6;
		memcpy(endpoint->addr.bytes, &in6.sin6_addr, 16);
		endpoint->port = ntohs(in6.sin6_port);
		addr_fold(&endpoint->addr);
	}
}

socklen_t
endpoint_to_sockaddr(const struct endpoint *endpoint, struct sockaddr_storage *storage)
{
	assert(endpoint->addr.family != ADDR_NONE);
	memset(storage, 0, sizeof(*storage));
	if (endpoint->addr.family == ADDR_V4) {
		struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(endpoint->port)};
		memcpy(&in.sin_addr, endpoint->addr.bytes, 4);
		memcpy(storage, &in, sizeof(in));
		return sizeof(in);
	}
	struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(endpoint->port)};
	memcpy(&in6.sin6_addr, endpoint->addr.bytes, 16);
	memcpy(storage, &in6, sizeof(in6));
	return sizeof(in6);
}

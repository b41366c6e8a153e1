/*
 * Addresses as values: an IPv4 or IPv6 address, a prefix of them, and an endpoint (address and
 * port). Plain structs, copied freely; nothing here allocates, logs or keeps state.
 *
 * An IPv4-mapped IPv6 address (::ffff:a.b.c.d, RFC 4291 section 2.5.5.2) is folded to its IPv4
 * address wherever one enters, so that no rule and no PROXY header ever sees the mapped form.
 */
#ifndef ACL_ADDR_H
#define ACL_ADDR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

enum __attribute__((packed)) addr_family { /* one byte: addresses are many */
	ADDR_NONE,
	ADDR_V4,
	ADDR_V6,
};

struct addr {
	enum addr_family family;
	uint8_t bytes[16]; /* network order; IPv4 in the first 4, the rest zero */
};

struct prefix {
	struct addr addr; /* host bits are zero */
	uint8_t len;      /* 0 to 32 or 0 to 128 */
};

struct endpoint {
	struct addr addr;
	uint16_t port; /* host order; 0 = none */
};

/* Big enough, with the NUL, for what the *_format functions write. */
enum {
	ADDR_TEXT_MAX = 46,     /* an IPv6 address */
	PREFIX_TEXT_MAX = 50,   /* ... with /128 */
	ENDPOINT_TEXT_MAX = 54, /* [IPv6]:65535 */
	PREFIX_WHY_MAX = 192,   /* why a prefix was refused */
};

/* Bits in an address of the family: 32, 128, or 0 for ADDR_NONE. */
unsigned addr_bits(enum addr_family family);

/* Parses a literal: dotted quad without leading zeros, or RFC 4291 IPv6 without brackets or zone.
 * Returns 0, or -1 when text is not one. A mapped address is folded. */
int addr_parse(struct addr *addr, const char *text);

/* Folds a mapped address; any other stays as it is. */
void addr_fold(struct addr *addr);

bool addr_equal(const struct addr *a, const struct addr *b);

/* 0.0.0.0 or ::, which is every address of its family to who listens. */
bool addr_is_wildcard(const struct addr *addr);

/* The network in which one host may change its address as it likes: an IPv4 address alone, or an
 * IPv6 /64. Of ADDR_NONE: itself. */
struct prefix addr_network(const struct addr *addr);

/* "203.0.113.7" or "2001:db8:1:2::/64"; "-" for ADDR_NONE. Returns buf. */
const char *addr_network_format(const struct addr *addr, char buf[PREFIX_TEXT_MAX]);

/* Writes the address as text (RFC 5952 for IPv6; "-" for ADDR_NONE) and returns buf. */
const char *addr_format(const struct addr *addr, char buf[ADDR_TEXT_MAX]);

/* Parses "ADDRESS" (one host) or "ADDRESS/LENGTH", the address or the whole also in brackets as
 * Postfix writes IPv6: "[2001:db8::]/32". Returns 0, or -1 with why saying what is wrong and what
 * to write ("host bits are set; ..." among them). A mapped prefix of length 96 or more is folded to
 * IPv4; a shorter one that would contain the mapped range stays IPv6. */
int prefix_parse(struct prefix *prefix, const char *text, char why[PREFIX_WHY_MAX]);

bool prefix_contains(const struct prefix *prefix, const struct addr *addr);

const char *prefix_format(const struct prefix *prefix, char buf[PREFIX_TEXT_MAX]);

/* Parses "A.B.C.D:PORT" or "[IPv6]:PORT", PORT from 1 to 65535. Returns 0 or -1. */
int endpoint_parse(struct endpoint *endpoint, const char *text);

bool endpoint_equal(const struct endpoint *a, const struct endpoint *b);

/* Whether one is part of the other: who listens on a port at the wildcard, 0.0.0.0 or ::, has every
 * address of that family there. */
bool endpoint_overlaps(const struct endpoint *a, const struct endpoint *b);

/* "A.B.C.D:PORT" or "[IPv6]:PORT"; "-" for ADDR_NONE. */
const char *endpoint_format(const struct endpoint *endpoint, char buf[ENDPOINT_TEXT_MAX]);

/* From what accept(2), getsockname(2) or getpeername(2) gave. A mapped address is folded; any other
 * family than AF_INET and AF_INET6 gives ADDR_NONE. */
void endpoint_from_sockaddr(struct endpoint *endpoint, const struct sockaddr *sa);

/* Fills storage for bind(2) and connect(2) and returns the length. The family must not be NONE. */
socklen_t endpoint_to_sockaddr(const struct endpoint *endpoint, struct sockaddr_storage *storage);

#endif

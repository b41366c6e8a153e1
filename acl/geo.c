/*
 * Countries and network numbers: the table, and values as text. See geo.h for threads and memory.
 */
#include "acl/geo.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	COUNTRY_LEN = 2,
};

void
geo_free(struct geo *geo)
{
	if (!geo)
		return;
	free(geo->nodes);
	free(geo->values);
	free(geo->path);
	free(geo);
}

static uint32_t
root_of(const struct geo *geo, enum addr_family family)
{
	return geo->roots[family == ADDR_V6];
}

static unsigned
bit_at(const struct addr *addr, unsigned i)
{
	return addr->bytes[i / 8] >> (7 - i % 8) & 1;
}

/* Follows the first bits of an address, and ends before that where a leaf does. */
static uint32_t
follow(const struct geo *geo, const struct addr *addr, unsigned bits)
{
	uint32_t link = root_of(geo, addr->family);
	for (unsigned i = 0; i < bits && !(link & GEO_LEAF); i++)
		link = geo->nodes[link].link[bit_at(addr, i)];
	return link;
}

uint32_t
geo_find(const struct geo *geo, const struct addr *addr)
{
	if (addr->family == ADDR_NONE)
		return GEO_NONE;
	uint32_t link = follow(geo, addr, addr_bits(addr->family));
	return link & GEO_LEAF ? geo->values[link & ~GEO_LEAF] : GEO_NONE;
}

bool
geo_has(const struct geo *geo, uint32_t value)
{
	for (size_t i = 0; i < geo->value_count; i++)
		if (geo->values[i] == value)
			return true;
	return false;
}

struct visitor {
	const struct geo *geo;
	void (*visit)(void *context, const struct addr *first, uint32_t value);
	void *context;
	size_t *steps;
	struct addr addr; /* the bits so far, the rest zero */
};

/* Goes as deep as an address has bits. */
static bool
visit_link(struct visitor *visitor, uint32_t link, unsigned depth)
{
	if (link & GEO_LEAF) {
		uint32_t value = visitor->geo->values[link & ~GEO_LEAF];
		if (value != GEO_NONE)
			visitor->visit(visitor->context, &visitor->addr, value);
		return true;
	}
	if (*visitor->steps == 0 || depth == addr_bits(visitor->addr.family))
		return false;
	--*visitor->steps;
	const struct geo_node *node = &visitor->geo->nodes[link];
	uint8_t bit = (uint8_t)(0x80 >> depth % 8);
	if (!visit_link(visitor, node->link[0], depth + 1))
		return false;
	visitor->addr.bytes[depth / 8] |= bit;
	bool whole = visit_link(visitor, node->link[1], depth + 1);
	visitor->addr.bytes[depth / 8] &= (uint8_t)~bit;
	return whole;
}

bool
geo_visit(const struct geo *geo, const struct prefix *within,
	void (*visit)(void *context, const struct addr *first, uint32_t value), void *context,
	size_t *steps)
{
	struct visitor visitor = {
		.geo = geo,
		.visit = visit,
		.context = context,
		.steps = steps,
		.addr = within->addr,
	};
	if (*steps < within->len) {
		*steps = 0;
		return false;
	}
	*steps -= within->len;
	return visit_link(&visitor, follow(geo, &within->addr, within->len), within->len);
}

const char *
geo_kind_name(enum geo_kind kind)
{
	switch (kind) {
	case GEO_ASN:
		return "asn";
	case GEO_COUNTRY:
		return "country";
	}
	return "";
}

/* 0 for what is no letter. */
static uint8_t
capital(char c)
{
	if (c >= 'a' && c <= 'z')
		return (uint8_t)c & 0xdf;
	return c >= 'A' && c <= 'Z' ? (uint8_t)c : 0;
}

static int
parse_country(const char *text, uint32_t *value, char why[GEO_WHY_MAX])
{
	uint8_t first = capital(text[0]);
	uint8_t second = first ? capital(text[1]) : 0;
	if (second && !text[COUNTRY_LEN]) {
		*value = (uint32_t)first << 8 | second;
		return 0;
	}
	snprintf(why, GEO_WHY_MAX,
		"is no country code; write the two letters of ISO 3166, as in country:JP");
	return -1;
}

static int
parse_asn(const char *text, uint32_t *value, char why[GEO_WHY_MAX])
{
	uint64_t number = 0;
	const char *digit = text;
	for (; *digit >= '0' && *digit <= '9' && number <= UINT32_MAX; digit++)
		number = number * 10 + (uint64_t)(*digit - '0');
	if (digit > text && !*digit && *text != '0' && number <= UINT32_MAX) {
		*value = (uint32_t)number;
		return 0;
	}
	snprintf(why, GEO_WHY_MAX,
		"is no network number; write 1 to %" PRIu32 " in digits alone, as in asn:64500",
		UINT32_MAX);
	return -1;
}

int
geo_parse(enum geo_kind kind, const char *text, uint32_t *value, char why[GEO_WHY_MAX])
{
	return kind == GEO_COUNTRY ? parse_country(text, value, why) : parse_asn(text, value, why);
}

const char *
geo_format(enum geo_kind kind, uint32_t value, char buf[GEO_TEXT_MAX])
{
	if (kind == GEO_COUNTRY)
		snprintf(buf, GEO_TEXT_MAX, "country:%c%c", (char)(value >> 8 & 0x7f),
			(char)(value & 0x7f));
	else
		snprintf(buf, GEO_TEXT_MAX, "asn:%" PRIu32, value);
	return buf;
}

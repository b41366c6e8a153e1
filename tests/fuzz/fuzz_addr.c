/*
 * The address, prefix and endpoint parsers on any text: what they take must come out of the
 * formatters as a text that means the same, and is never a mapped address.
 */
#include "acl/addr.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
must(bool truth)
{
	if (!truth)
		abort();
}

static void
check_addr(const struct addr *addr)
{
	struct in6_addr in6;
	must(addr->family == ADDR_V4 || addr->family == ADDR_V6);
	memcpy(&in6, addr->bytes, sizeof(in6));
	must(addr->family == ADDR_V4 || !IN6_IS_ADDR_V4MAPPED(&in6));
}

static void
try_addr(const char *text)
{
	struct addr addr, again;
	char out[ADDR_TEXT_MAX];
	if (addr_parse(&addr, text) < 0)
		return;
	check_addr(&addr);
	must(addr_parse(&again, addr_format(&addr, out)) == 0 && addr_equal(&addr, &again));
}

static void
try_prefix(const char *text)
{
	struct prefix prefix, again;
	char out[PREFIX_TEXT_MAX];
	char why[PREFIX_WHY_MAX] = "";
	if (prefix_parse(&prefix, text, why) < 0) {
		must(why[0] && strlen(why) < sizeof(why) - 1);
		return;
	}
	/* The mapped range itself may be within an IPv6 prefix, but then it has no name there. */
	must(prefix_contains(&prefix, &prefix.addr));
	must(prefix_parse(&again, prefix_format(&prefix, out), why) == 0);
	must(again.len == prefix.len && addr_equal(&again.addr, &prefix.addr));
	check_addr(&prefix.addr);
}

static void
try_endpoint(const char *text)
{
	struct endpoint endpoint, again;
	struct sockaddr_storage storage;
	char out[ENDPOINT_TEXT_MAX];
	if (endpoint_parse(&endpoint, text) < 0)
		return;
	check_addr(&endpoint.addr);
	must(endpoint.port > 0);
	must(endpoint_parse(&again, endpoint_format(&endpoint, out)) == 0);
	must(endpoint_equal(&endpoint, &again));
	endpoint_to_sockaddr(&endpoint, &storage);
	endpoint_from_sockaddr(&again, (struct sockaddr *)&storage);
	must(endpoint_equal(&endpoint, &again));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1);
	must(text);
	memcpy(text, data, size);
	text[size] = '\0';
	try_addr(text);
	try_prefix(text);
	try_endpoint(text);
	free(text);
	return 0;
}

/*
 * Prints what becomes of a client, listener by listener: the rule that decides, and then either the
 * reply or the way to the relays. Main thread, once; nothing is kept.
 */
#include "lb/explain.h"

#include "acl/acl.h"
#include "conf/snapshot.h"
#include "lb/balance_source.h"
#include "lb/limits.h"
#include "lb/notice.h"
#include "lb/wire/proxy.h"
#include "lb/wire/reply.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

enum {
	EXIT_ALLOWED = 0,
	EXIT_DENIED = 1,
	EXIT_WRONG = 2,
	EXAMPLE_PORT = 50000, /* stands for the client's */
	RULE_MAX = 4096 + 128,
};

static const char *const balance_texts[] = {
	[BALANCE_ROUNDROBIN] = "roundrobin",
	[BALANCE_LEASTCONN] = "leastconn: the fewest sessions for the weight first",
	[BALANCE_SOURCE] = "source: this client always to the first of these that is up",
};

static const char *
family_text(enum addr_family family)
{
	return family == ADDR_V4 ? "IPv4" : "IPv6";
}

/* The pool's way. */

/* The one port of all the listener's binds; 0 when they differ. */
static uint16_t
only_port(const struct listener_conf *listener)
{
	uint16_t port = listener->binds[0].endpoint.port;
	for (size_t i = 1; i < listener->bind_count; i++) {
		if (listener->binds[i].endpoint.port != port)
			return 0;
	}
	return port;
}

static void
print_address(const struct backend_conf *backend, uint16_t called)
{
	struct endpoint endpoint = {.addr = backend->address, .port = backend->port};
	char text[ENDPOINT_TEXT_MAX];
	if (endpoint.port == 0)
		endpoint.port = called;
	if (endpoint.port)
		printf("%s", endpoint_format(&endpoint, text));
	else
		printf("%s, the port that was called", addr_format(&endpoint.addr, text));
}

static void
print_backend(
	const struct listener_conf *listener, const struct backend_conf *backend, unsigned weights)
{
	printf("  backend   %s ", backend->name);
	print_address(backend, only_port(listener));
	printf(", weight %u", backend->weight);
	if (listener->pool->balance == BALANCE_ROUNDROBIN)
		printf(" of %u", weights);
	if (backend->max_sessions)
		printf(", at most %u sessions", backend->max_sessions);
	printf("%s\n", backend->backup ? ", backup: after all others" : "");
}

/* Where the backend stands in the list: the client's own order with `source`, else the file's. */
static double
place(const struct pool_conf *pool, size_t i, const struct addr *client)
{
	const struct backend_conf *backend = &pool->backends[i];
	if (pool->balance != BALANCE_SOURCE)
		return (double)i;
	return source_rank(source_client(client), source_name(backend->name), backend->weight);
}

/* Returns the first of them behind that place, which it moves there; NULL behind the last. */
static const struct backend_conf *
next_backend(const struct pool_conf *pool, bool backup, const struct addr *client, double *last)
{
	const struct backend_conf *next = NULL;
	double least = 0;
	for (size_t i = 0; i < pool->backend_count; i++) {
		double own = place(pool, i, client);
		if (pool->backends[i].backup != backup || own <= *last || (next && own > least))
			continue;
		next = &pool->backends[i];
		least = own;
	}
	*last = least;
	return next;
}

/* First those that are not in reserve. */
static void
print_backends(const struct listener_conf *listener, const struct addr *client)
{
	const struct pool_conf *pool = listener->pool;
	for (int backup = 0; backup < 2; backup++) {
		const struct backend_conf *backend;
		unsigned weights = 0;
		double last = -1;
		for (size_t i = 0; i < pool->backend_count; i++)
			weights +=
				pool->backends[i].backup == backup ? pool->backends[i].weight : 0;
		while ((backend = next_backend(pool, backup, client, &last)))
			print_backend(listener, backend, weights);
	}
}

/* The header. */

/* Signature, command, family, length, source, destination and the two ports, each for itself. */
static void
print_v2(const uint8_t *header, enum addr_family family)
{
	size_t size = addr_bits(family) / 8;
	const size_t lens[] = {PROXY_V2_SIGNATURE_LEN, 1, 1, 2, size, size, 2, 2};
	for (size_t i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
		printf("%s", i ? " " : "");
		for (size_t j = 0; j < lens[i]; j++)
			printf("%02x", *header++);
	}
	printf("\n");
}

static void
print_header(enum proxy_version version, const struct addr *client, const struct endpoint *called)
{
	struct endpoint source = {.addr = *client, .port = EXAMPLE_PORT};
	uint8_t header[PROXY_HEADER_MAX];
	char from[ENDPOINT_TEXT_MAX], to[ENDPOINT_TEXT_MAX];
	size_t len = proxy_encode(header, version, &source, called);
	printf("  header    ");
	if (version == PROXY_V1) {
		printf("%.*s\n", (int)(len - strlen("\r\n")), (const char *)header);
		return;
	}
	print_v2(header, client->family);
	printf("            v2 PROXY TCP%c from %s to %s\n", client->family == ADDR_V4 ? '4' : '6',
		endpoint_format(&source, from), endpoint_format(called, to));
}

/* One for each address that such a client can call. */
static size_t
print_headers(const struct listener_conf *listener, const struct addr *client)
{
	size_t count = 0;
	for (size_t i = 0; i < listener->bind_count; i++) {
		const struct endpoint *called = &listener->binds[i].endpoint;
		if (called->addr.family != client->family)
			continue;
		print_header(listener->pool->proxy, client, called);
		count++;
	}
	return count;
}

static bool
has_wildcard(const struct listener_conf *listener, enum addr_family family)
{
	struct addr wildcard = {.family = family};
	for (size_t i = 0; i < listener->bind_count; i++) {
		if (addr_equal(&listener->binds[i].endpoint.addr, &wildcard))
			return true;
	}
	return false;
}

static void
print_header_part(const struct listener_conf *listener, const struct addr *client)
{
	struct addr wildcard = {.family = client->family};
	char text[ADDR_TEXT_MAX];
	if (listener->pool->proxy == PROXY_OFF) {
		printf("  header    none: the relay sees the balancer's address\n");
		return;
	}
	if (print_headers(listener, client) == 0) {
		printf("  header    PROXY TCP%c, the destination as a balancer in front announces "
		       "it\n",
			client->family == ADDR_V4 ? '4' : '6');
		return;
	}
	if (listener->pool->proxy_tlv)
		printf("            with the session's id%s and a checksum behind it\n",
			listener->tls == TLS_IMPLICIT ? ", what TLS the client speaks, its SNI"
						      : "");
	printf("            %d stands for the client's port", EXAMPLE_PORT);
	if (has_wildcard(listener, client->family))
		printf(", %s for the address that it calls", addr_format(&wildcard, text));
	printf("\n");
}

/* What is said before any rule: how such a client gets here. */

static bool
has_bind(const struct listener_conf *listener, enum addr_family family)
{
	for (size_t i = 0; i < listener->bind_count; i++) {
		if (listener->binds[i].endpoint.addr.family == family)
			return true;
	}
	return false;
}

static bool
is_trusted(const struct listener_conf *listener, const struct addr *client)
{
	for (size_t i = 0; i < listener->accept_proxy_count; i++) {
		if (prefix_contains(&listener->accept_proxy[i], client))
			return true;
	}
	return false;
}

static void
print_arrival(const struct listener_conf *listener, const struct addr *client)
{
	if (!has_bind(listener, client->family))
		printf("  bind      none for %s: %s\n", family_text(client->family),
			listener->accept_proxy_count
				? "such a client comes only through a balancer in accept_proxy"
				: "such a client can't reach this listener");
	if (is_trusted(listener, client))
		printf("  proxy     must send a PROXY header; this is about its own connections "
		       "(LOCAL), else ask for the client that it announces\n");
}

/* TLS, with the client and with the relays. */

static void
print_tls(const struct listener_conf *listener)
{
	const struct pool_conf *pool = listener->pool;
	if (listener->tls != TLS_OFF)
		printf("  tls       %s, the first certificate expires in %d days\n",
			tls_mode_names[listener->tls],
			certificates_days_left(certificates_expire(listener->certificates)));
	if (pool->tls == TLS_OFF)
		return;
	printf("  relays    speak TLS (%s) and are ", tls_mode_names[pool->tls]);
	if (!pool->tls_verify)
		printf("whoever answers: not verified\n");
	else
		printf("verified, as %s\n", *pool->tls_name ? pool->tls_name : "their addresses");
}

/* The limits. */

/* Limits per client, one after the other. */
struct limits_text {
	char text[3 * RATE_TEXT_MAX + 64];
	size_t len;
};

static void
add_limit(struct limits_text *limits, const char *limit, const char *what)
{
	limits->len +=
		(size_t)snprintf(limits->text + limits->len, sizeof(limits->text) - limits->len,
			"%s%s %s", limits->len ? ", " : "", limit, what);
}

static void
add_rate(struct limits_text *limits, const struct rate_conf *rate, const char *what)
{
	char text[RATE_TEXT_MAX];
	if (rate->count)
		add_limit(limits, limits_rate_format(rate, text), what);
}

static void
print_limits(const struct limits_conf *limits, const struct addr *client)
{
	char network[PREFIX_TEXT_MAX], sessions[RATE_TEXT_MAX];
	struct limits_text own = {.len = 0};
	snprintf(sessions, sizeof(sessions), "%u", limits->sessions_per_client);
	if (limits->sessions_per_client)
		add_limit(&own, sessions, "sessions");
	add_rate(&own, &limits->connects_per_client, "connects");
	add_rate(&own, &limits->messages_per_client, "messages");
	printf("  limits    ");
	if (limits->sessions)
		printf("%u sessions of all clients%s", limits->sessions, own.len ? "; " : "");
	if (own.len)
		printf("%s of %s", own.text, addr_network_format(client, network));
	printf("%s\n", limits->sessions || own.len ? "" : "none");
}

/* The verdict. */

static void
print_denial(const struct snapshot *snapshot, const struct listener_conf *listener,
	const struct addr *client)
{
	char reply[REPLY_MAX + 1];
	switch (listener->on_deny) {
	case ON_DENY_421:
		reply_format(reply, REPLY_DENIED_421, snapshot->hostname, client, "SESSION-ID");
		printf("  reply     %s", reply);
		break;
	case ON_DENY_554:
		reply_format(reply, REPLY_DENIED_554, snapshot->hostname, client, "SESSION-ID");
		printf("  reply     %s", reply);
		break;
	case ON_DENY_RESET:
		printf("  reply     none: reset\n");
		break;
	case ON_DENY_DROP:
		printf("  reply     none: closed\n");
		break;
	}
}

static bool
explain(const struct snapshot *snapshot, const struct listener_conf *listener,
	const struct addr *client)
{
	struct verdict verdict = acl_decide(listener->acl, client);
	char text[ADDR_TEXT_MAX], rule[RULE_MAX];
	printf("listener %s: %s is %s\n", listener->name, addr_format(client, text),
		verdict.allowed ? "allowed" : "denied");
	print_arrival(listener, client);
	printf("  rule      %s%s\n", verdict_format(&verdict, rule, sizeof(rule)),
		verdict.matched ? "" : ": none names it");
	print_limits(&listener->limits, client);
	if (!verdict.allowed) {
		print_denial(snapshot, listener, client);
		return false;
	}
	printf("  pool      %s, %s; assumes every backend up\n", listener->pool->name,
		balance_texts[listener->pool->balance]);
	print_backends(listener, client);
	print_tls(listener);
	print_header_part(listener, client);
	return true;
}

static int
explain_all(const struct snapshot *snapshot, const char *name, const struct addr *client)
{
	int status = EXIT_ALLOWED;
	bool found = false;
	for (size_t i = 0; i < snapshot->listener_count; i++) {
		const struct listener_conf *listener = &snapshot->listeners[i];
		if (name && strcmp(listener->name, name) != 0)
			continue;
		found = true;
		if (!explain(snapshot, listener, client))
			status = EXIT_DENIED;
	}
	if (found)
		return status;
	fprintf(stderr, "smtplb: no listener `%s`; there is:", name);
	for (size_t i = 0; i < snapshot->listener_count; i++)
		fprintf(stderr, " %s", snapshot->listeners[i].name);
	fprintf(stderr, "\n");
	return EXIT_WRONG;
}

int
explain_run(const char *file, const char *listener, const char *ip)
{
	struct addr client;
	struct report report;
	if (addr_parse(&client, ip) < 0) {
		fprintf(stderr, "smtplb: not an IPv4 or IPv6 address: %s\n", ip);
		return EXIT_WRONG;
	}
	report_init(&report);
	struct snapshot *snapshot = snapshot_load(file, &report);
	if (!snapshot)
		notice_print(&report);
	int status = snapshot ? explain_all(snapshot, listener, &client) : EXIT_WRONG;
	snapshot_unref(snapshot);
	report_fini(&report);
	return status;
}

/*
 * A pool and its backends; see check.h.
 */
#include "conf/check.h"
#include "acl/mem.h"
#include "conf/grammar.h"

#include <string.h>

enum {
	PORT_MAX = 65535,
	WEIGHT_MAX = 256,
	SESSIONS_MAX = 10 * 1000 * 1000,
	MESSAGES_MAX = 1000 * 1000,
};

static const struct addr addr_any_v4 = {.family = ADDR_V4};
static const struct addr addr_any_v6 = {.family = ADDR_V6};

/* address stays ADDR_NONE when there is an error. */
static void
read_address(const struct load *load, cfg_t *section, struct addr *address)
{
	struct value value = value_require(load, section, "address", "10.0.1.11");
	struct endpoint endpoint;
	struct addr read;
	if (!value.line)
		return;
	if (*value.text == '[' || endpoint_parse(&endpoint, value.text) == 0)
		value_error(load, &value,
			"is more than an address; write it without brackets and port, the port as "
			"port = 25");
	else if (addr_parse(&read, value.text) < 0)
		value_error(load, &value,
			"is no IP address; names are not looked up, write it as 10.0.1.11 or "
			"2001:db8::11");
	else if (addr_equal(&read, &addr_any_v4) || addr_equal(&read, &addr_any_v6))
		value_error(load, &value, "is no relay's address; write the one it listens on");
	else
		*address = read;
}

static void
check_backend(const struct load *load, cfg_t *section, struct backend_conf *backend)
{
	backend->name = value_name(load, section);
	backend->line = grammar_section_line(section);
	read_address(load, section, &backend->address);
	struct value port = value_get(section, "port");
	if (port.text)
		backend->port = (uint16_t)value_number(load, &port, 1, PORT_MAX);
	struct value weight = value_get(section, "weight");
	backend->weight = (unsigned)value_number(load, &weight, 1, WEIGHT_MAX);
	struct value max_sessions = value_get(section, "max_sessions");
	backend->max_sessions = (unsigned)value_number(load, &max_sessions, 0, SESSIONS_MAX);
	struct value backup = value_get(section, "backup");
	backend->backup = value_yes(load, &backup);
}

/* Two names for one relay: it gets twice the share, and there is one relay less than it looks. */
static void
warn_same_address(const struct load *load, const struct pool_conf *pool, size_t index)
{
	const struct backend_conf *backend = &pool->backends[index];
	if (backend->address.family == ADDR_NONE)
		return;
	for (size_t i = 0; i < index; i++) {
		const struct backend_conf *other = &pool->backends[i];
		if (other->port != backend->port || !addr_equal(&other->address, &backend->address))
			continue;
		report_warning(load->report, load->file, backend->line,
			"backend `%s` has the address and port of `%s` in line %u; for a larger "
			"share use weight",
			backend->name, other->name, other->line);
		return;
	}
}

/* Then they balance among themselves, as if none were one. After an error, a value that could not
 * be read stands for nothing. */
static void
warn_only_backups(const struct load *load, const struct pool_conf *pool)
{
	size_t backups = 0;
	for (size_t i = 0; i < pool->backend_count; i++)
		backups += pool->backends[i].backup;
	if (backups > 0 && backups == pool->backend_count && !load->report->errors)
		report_warning(load->report, load->file, pool->line,
			"pool `%s` has nothing but backups, which is as if it had none; leave "
			"backup out where a relay is to be used first",
			pool->name);
}

static void
check_backends(const struct load *load, cfg_t *section, struct pool_conf *pool)
{
	size_t count = cfg_size(section, "backend");
	if (!count && load->whole)
		report_error(load->report, load->file, pool->line,
			"pool `%s` has no backend; add one, as in backend relay1 { address = "
			"10.0.1.11 }",
			pool->name);
	if (count > POOL_BACKENDS_MAX)
		report_error(load->report, load->file, pool->line,
			"pool `%s` has %zu backends; use at most %d, the rest in another pool",
			pool->name, count, POOL_BACKENDS_MAX);
	pool->backends = mem_new(count, sizeof(*pool->backends));
	for (; pool->backend_count < count; pool->backend_count++) {
		size_t i = pool->backend_count;
		check_backend(
			load, cfg_getnsec(section, "backend", (unsigned)i), &pool->backends[i]);
		warn_same_address(load, pool, i);
	}
	warn_only_backups(load, pool);
}

static void
read_proxy(const struct load *load, cfg_t *section, struct pool_conf *pool)
{
	static const struct choice versions[] = {
		{.name = "v2", .value = PROXY_V2},
		{.name = "v1", .value = PROXY_V1},
		{.name = "off", .value = PROXY_OFF},
		{.name = NULL},
	};
	struct value proxy = value_require(load, section, "proxy_protocol", "v2 (or v1, or off)");
	if (proxy.line)
		pool->proxy = (enum proxy_version)value_choice(load, &proxy, versions);
	struct value tlv = value_get(section, "proxy_tlv");
	pool->proxy_tlv = value_yes(load, &tlv);
	if (pool->proxy_tlv && proxy.line && pool->proxy != PROXY_V2)
		value_error(load, &tlv,
			"needs `proxy_protocol = v2`: other versions have no place for it");
}

/* The address from which all backends are reached. */
static void
read_source_address(const struct load *load, cfg_t *section, struct pool_conf *pool)
{
	struct value value = value_get(section, "source_address");
	struct addr *source = &pool->source_address;
	if (!*value.text)
		return;
	if (addr_parse(source, value.text) < 0 || addr_equal(source, &addr_any_v4) ||
		addr_equal(source, &addr_any_v6)) {
		value_error(load, &value,
			"is no address of this machine; write one of its addresses, as in "
			"source_address = 10.0.0.5, or \"\" to let the routes choose");
		*source = (struct addr){.family = ADDR_NONE};
		return;
	}
	for (size_t i = 0; i < pool->backend_count; i++) {
		const struct backend_conf *backend = &pool->backends[i];
		if (backend->address.family != ADDR_NONE &&
			backend->address.family != source->family)
			value_error(load, &value,
				"can't reach backend `%s` (line %u), which is of the other address "
				"family; put it into a pool of its own",
				backend->name, backend->line);
	}
}

void
check_pool(const struct load *load, cfg_t *section, struct pool_conf *pool)
{
	static const struct choice balances[] = {
		{.name = "roundrobin", .value = BALANCE_ROUNDROBIN},
		{.name = "leastconn", .value = BALANCE_LEASTCONN},
		{.name = "source", .value = BALANCE_SOURCE},
		{.name = NULL},
	};
	pool->name = value_name(load, section);
	pool->line = grammar_section_line(section);
	struct value balance = value_get(section, "balance");
	pool->balance = (enum balance)value_choice(load, &balance, balances);
	read_proxy(load, section, pool);
	struct value connect = value_get(section, "connect_timeout");
	pool->connect_timeout_ms = value_duration(load, &connect, 1, HOUR_MS);
	struct value greeting = value_get(section, "greeting_timeout");
	pool->greeting_timeout_ms = value_duration(load, &greeting, 1, HOUR_MS);
	struct value budget = value_get(section, "greeting_budget");
	pool->greeting_budget_ms = value_duration(load, &budget, 1, HOUR_MS);
	struct value retry = value_get(section, "greeting_retry");
	pool->greeting_retry_ms = value_duration(load, &retry, 0, HOUR_MS);
	struct value queue = value_get(section, "queue_timeout");
	pool->queue_timeout_ms = value_duration(load, &queue, 0, HOUR_MS);
	struct value messages = value_get(section, "rebalance_messages");
	pool->rebalance_messages = (unsigned)value_number(load, &messages, 0, MESSAGES_MAX);
	struct value age = value_get(section, "rebalance_age");
	pool->rebalance_age_ms = value_duration(load, &age, 0, DAY_MS);
	struct value fail_open = value_get(section, "fail_open");
	pool->fail_open = value_yes(load, &fail_open);
	check_relay_tls(load, section, pool);
	check_health(load, section, &pool->check);
	check_backends(load, section, pool);
	read_source_address(load, section, pool);
}

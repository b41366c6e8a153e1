/*
 * A listener, and what it refers to; see check.h.
 */
#include "conf/check.h"
#include "acl/mem.h"
#include "conf/grammar.h"
#include "conf/suggest.h"

#include <stdio.h>
#include <string.h>

enum {
	NAMES_MAX = 300,
};

static bool
lacks_port(const char *text)
{
	char with_port[ENDPOINT_TEXT_MAX];
	struct addr addr;
	struct endpoint endpoint;
	snprintf(with_port, sizeof(with_port), "%s:25", text);
	return addr_parse(&addr, text) == 0 || endpoint_parse(&endpoint, with_port) == 0;
}

static void
read_bind(const struct load *load, const struct value *value, struct bind_conf *bind)
{
	bind->line = value->line;
	if (endpoint_parse(&bind->endpoint, value->text) == 0)
		return;
	bind->endpoint = (struct endpoint){.addr.family = ADDR_NONE};
	if (lacks_port(value->text))
		value_error(
			load, value, "has no port; write it as 0.0.0.0:25, for IPv6 as [::]:25");
	else
		value_error(load, value,
			"is no IP address with a port (1 to 65535); write it as 0.0.0.0:25, for "
			"IPv6 as [::]:25");
}

static void
read_binds(const struct load *load, cfg_t *section, struct listener_conf *listener)
{
	size_t count = value_count(section, "bind");
	if (!count && load->whole)
		report_error(load->report, load->file, listener->line,
			"listener `%s` has no `bind`; add one, as in bind = { 0.0.0.0:25, [::]:25 "
			"}",
			listener->name);
	listener->binds = mem_new(count, sizeof(*listener->binds));
	for (; listener->bind_count < count; listener->bind_count++) {
		struct value value = value_at(section, "bind", listener->bind_count);
		read_bind(load, &value, &listener->binds[listener->bind_count]);
	}
}

/* A reference by name is resolved over these. */
struct names {
	struct suggest suggest;
	char list[NAMES_MAX];
	size_t len;
};

static void
offer_name(struct names *names, const char *name)
{
	suggest_offer(&names->suggest, name);
	if (names->len < sizeof(names->list))
		names->len += (size_t)snprintf(names->list + names->len,
			sizeof(names->list) - names->len, "%s%s", names->len ? ", " : "", name);
}

static void
report_dangling(const struct load *load, const struct value *value, const struct names *names)
{
	if (!load->whole)
		return;
	if (names->suggest.best)
		value_error(
			load, value, "refers to nothing; did you mean `%s`?", names->suggest.best);
	else if (names->len)
		value_error(load, value, "refers to nothing; there is: %s", names->list);
	else
		value_error(load, value, "refers to nothing; add %s %s { ... }", value->key,
			value->text);
}

static const struct acl *
find_acl(const struct load *load, cfg_t *section, const struct snapshot *snapshot)
{
	struct value value = value_require(load, section, "acl", "senders");
	struct names names = {.suggest.word = value.text};
	if (!value.line)
		return NULL;
	for (size_t i = 0; i < snapshot->acl_count; i++) {
		if (strcmp(acl_name(snapshot->acls[i]), value.text) == 0)
			return snapshot->acls[i];
		offer_name(&names, acl_name(snapshot->acls[i]));
	}
	report_dangling(load, &value, &names);
	return NULL;
}

static const struct pool_conf *
find_pool(const struct load *load, cfg_t *section, const struct snapshot *snapshot)
{
	struct value value = value_require(load, section, "pool", "relays");
	struct names names = {.suggest.word = value.text};
	if (!value.line)
		return NULL;
	for (size_t i = 0; i < snapshot->pool_count; i++) {
		if (strcmp(snapshot->pools[i].name, value.text) == 0)
			return &snapshot->pools[i];
		offer_name(&names, snapshot->pools[i].name);
	}
	report_dangling(load, &value, &names);
	return NULL;
}

/* Sources that we believe what they say of their clients. */
static void
read_accept_proxy(const struct load *load, cfg_t *section, struct listener_conf *listener)
{
	size_t count = value_count(section, "accept_proxy");
	listener->accept_proxy = mem_new(count, sizeof(*listener->accept_proxy));
	for (; listener->accept_proxy_count < count; listener->accept_proxy_count++) {
		size_t i = listener->accept_proxy_count;
		struct value value = value_at(section, "accept_proxy", i);
		char why[PREFIX_WHY_MAX];
		if (prefix_parse(&listener->accept_proxy[i], value.text, why) < 0)
			value_error(load, &value,
				"%s; give the addresses or networks of the balancers in front",
				why);
		else if (listener->accept_proxy[i].len == 0)
			report_warning(load->report, load->file, value.line,
				"`accept_proxy = %s` believes everybody, so that who connects may "
				"claim any address that the acl allows; give the addresses of the "
				"balancers in front",
				value.text);
	}
}

void
check_listener(const struct load *load, cfg_t *section, const struct snapshot *snapshot,
	struct listener_conf *listener)
{
	static const struct choice denials[] = {
		{.name = "421", .value = ON_DENY_421},
		{.name = "554", .value = ON_DENY_554},
		{.name = "reset", .value = ON_DENY_RESET},
		{.name = "drop", .value = ON_DENY_DROP},
		{.name = NULL},
	};
	listener->name = value_name(load, section);
	listener->line = grammar_section_line(section);
	read_binds(load, section, listener);
	listener->acl = find_acl(load, section, snapshot);
	listener->pool = find_pool(load, section, snapshot);
	struct value on_deny = value_get(section, "on_deny");
	listener->on_deny = (enum on_deny)value_choice(load, &on_deny, denials);
	struct value idle = value_get(section, "idle_timeout");
	listener->idle_timeout_ms = value_duration(load, &idle, 1, DAY_MS);
	read_accept_proxy(load, section, listener);
	struct value proxy_timeout = value_get(section, "proxy_timeout");
	listener->proxy_timeout_ms = value_duration(load, &proxy_timeout, 1, HOUR_MS);
	check_limits(load, cfg_getsec(section, "limits"), &listener->limits);
	check_tls(load, section, listener);
}

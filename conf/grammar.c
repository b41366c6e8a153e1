/*
 * The grammar and its parsing; see grammar.h. One thread at a time.
 *
 * The order is that of the reference, conf/full.conf. A key whose default is NULL has none: it is
 * required, or leaving it out means something of its own.
 */
#include "conf/grammar.h"
#include "acl/mem.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MARK_NAME "{"

enum {
	LIBRARY_NEED = 1 << 17, /* bytes; all of these are far more than was ever seen */
	SECTION_NEED = 1 << 14,
	BYTE_NEED = 32,
};

/* Called by libconfuse for each value; never fails. */
static int
take_value(cfg_t *section, cfg_opt_t *opt, const char *text, void *result)
{
	(void)opt;
	size_t size = strlen(text) + 1;
	struct grammar_value *value = mem_new(1, sizeof(*value) + size);
	value->line = (unsigned)section->line;
	memcpy(value->text, text, size);
	*(void **)result = value;
	return 0;
}

#define LEAF(key, text, extra)                                                      \
	{                                                                           \
		.name = (key), .type = CFGT_PTR, .flags = CFGF_NODEFAULT | (extra), \
		.def = {.string = (text)}, .parsecb = take_value, .freecb = free    \
	}
#define VALUE(key, text) LEAF(key, text, CFGF_NONE)
#define LIST(key, text) LEAF(key, text, CFGF_LIST)
#define SECTION(key, keys)                                         \
	{                                                          \
		.name = (key), .type = CFGT_SEC, .subopts = (keys) \
	}
#define NAMED(key, keys)                                                           \
	{                                                                          \
		.name = (key), .type = CFGT_SEC, .flags = CFGF_MULTI | CFGF_TITLE, \
		.subopts = (keys)                                                  \
	}
/* libconfuse parses a default as it opens the section: then take_value sees its first line. */
#define MARK                                                                    \
	{                                                                       \
		.name = MARK_NAME, .type = CFGT_PTR, .def = {.parsed = "open"}, \
		.parsecb = take_value, .freecb = free                           \
	}
#define END                  \
	{                    \
		.name = NULL \
	}

static cfg_opt_t log_keys[] = {
	MARK,
	VALUE("target", "stderr"),
	VALUE("format", "logfmt"),
	VALUE("level", "info"),
	END,
};

static cfg_opt_t admin_keys[] = {
	MARK,
	VALUE("socket", "/run/smtplb/admin.sock"),
	VALUE("listen", "127.0.0.1:8025"),
	END,
};

static cfg_opt_t geoip_keys[] = {
	MARK,
	VALUE("country", "/usr/share/GeoIP/GeoLite2-Country.mmdb"),
	VALUE("asn", "/usr/share/GeoIP/GeoLite2-ASN.mmdb"),
	END,
};

static cfg_opt_t acl_keys[] = {
	MARK,
	LIST("allow", NULL),
	LIST("deny", NULL),
	VALUE("open", "no"),
	END,
};

static cfg_opt_t health_keys[] = {
	MARK,
	VALUE("type", "http"),
	VALUE("port", NULL),
	VALUE("path", "/"),
	VALUE("host", ""),
	LIST("status", "200"),
	VALUE("interval", "10s"),
	VALUE("timeout", "5s"),
	VALUE("rise", "2"),
	VALUE("fall", "2"),
	VALUE("greeting_fall", "3"),
	VALUE("tls_verify", "no"),
	END,
};

static cfg_opt_t backend_keys[] = {
	MARK,
	VALUE("address", NULL),
	VALUE("port", NULL),
	VALUE("weight", "1"),
	VALUE("max_sessions", "0"),
	VALUE("backup", "no"),
	END,
};

static cfg_opt_t pool_keys[] = {
	MARK,
	VALUE("balance", "roundrobin"),
	VALUE("proxy_protocol", NULL),
	VALUE("connect_timeout", "5s"),
	VALUE("greeting_timeout", "10s"),
	VALUE("greeting_budget", "60s"),
	VALUE("greeting_retry", "1s"),
	VALUE("queue_timeout", "30s"),
	VALUE("source_address", ""),
	VALUE("fail_open", "no"),
	VALUE("rebalance_messages", "0"),
	VALUE("rebalance_age", "0s"),
	VALUE("tls", "off"),
	VALUE("tls_verify", "yes"),
	VALUE("tls_ca", ""),
	VALUE("tls_name", ""),
	VALUE("proxy_tlv", "off"),
	SECTION("health", health_keys),
	NAMED("backend", backend_keys),
	END,
};

static cfg_opt_t limits_keys[] = {
	MARK,
	VALUE("sessions", "0"),
	VALUE("sessions_per_client", "0"),
	VALUE("connects_per_client", "0/1m"),
	VALUE("messages_per_client", "0/1h"),
	END,
};

static cfg_opt_t listener_keys[] = {
	MARK,
	LIST("bind", NULL),
	VALUE("acl", NULL),
	VALUE("pool", NULL),
	VALUE("on_deny", "421"),
	VALUE("idle_timeout", "11m"),
	LIST("accept_proxy", NULL),
	VALUE("proxy_timeout", "5s"),
	SECTION("limits", limits_keys),
	VALUE("tls", "off"),
	LIST("certificate", NULL),
	LIST("key", NULL),
	END,
};

cfg_opt_t grammar_top[] = {
	VALUE("hostname", NULL),
	VALUE("workers", "auto"),
	VALUE("engine", "auto"),
	VALUE("user", "smtplb"),
	VALUE("max_sessions", "0"),
	VALUE("drain_timeout", "300s"),
	VALUE("sandbox", "auto"),
	SECTION("log", log_keys),
	SECTION("admin", admin_keys),
	SECTION("geoip", geoip_keys),
	NAMED("acl", acl_keys),
	NAMED("pool", pool_keys),
	NAMED("listener", listener_keys),
	END,
};

bool
grammar_is_mark(const cfg_opt_t *opt)
{
	return strcmp(opt->name, MARK_NAME) == 0;
}

unsigned
grammar_section_line(cfg_t *section)
{
	const struct grammar_value *mark = cfg_getptr(section, MARK_NAME);
	return mark->line;
}

/* libconfuse hands its error callback no context. */
static _Thread_local struct problem *parsing;

__attribute__((format(printf, 2, 0))) static void
take_error(cfg_t *section, const char *format, va_list args)
{
	char what[PROBLEM_MAX / 2];
	vsnprintf(what, sizeof(what), format, args);
	problem_note(parsing, (unsigned)section->line,
		"%s; write KEY = VALUE or SECTION { ... }, and quote a value that has blanks or "
		"any of = { } ,",
		what);
}

/* libconfuse looks at few of its allocations, and its scanner exits. It copies all keys for each
 * section, with their defaults. */
static size_t
need_of_library(const char *text)
{
	size_t sections = 0, len = 0;
	for (; text[len]; len++)
		sections += text[len] == '{';
	return LIBRARY_NEED + sections * SECTION_NEED + len * BYTE_NEED;
}

cfg_t *
grammar_parse(const char *text, struct problem *problem)
{
	if (mem_provide(need_of_library(text)) < 0) {
		problem_note(problem, 1, "no memory to read this configuration");
		return NULL;
	}
	cfg_t *top = cfg_init(grammar_top, CFGF_NONE);
	if (!top)
		abort();
	cfg_set_error_function(top, take_error);
	parsing = problem;
	if (cfg_parse_buf(top, text) != CFG_SUCCESS && !problem->line)
		problem_note(problem, 1, "this is no configuration");
	parsing = NULL;
	return top;
}

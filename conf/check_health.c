/*
 * A pool's health section; see check.h.
 */
#include "conf/check.h"
#include "acl/mem.h"
#include "conf/grammar.h"
#include "conf/unit.h"

enum {
	HTTP_PORT = 80,
	HTTPS_PORT = 443,
	OWN_PORT = 0, /* the backend's */
	PORT_MAX = 65535,
	INTERVAL_MIN_MS = 10, /* below that probing is all that the machine does */
	COUNT_MAX = 1000,
	PATH_LEN_MAX = 1000,
	HOST_LEN_MAX = 255,
	STATUS_MIN = 100,
	STATUS_MAX = 599,
	STATUS_LEN = 3,
};

/* Three digits; what follows them goes to *rest. Returns 0 when it is no status. */
static uint16_t
parse_status(const char *text, const char **rest)
{
	unsigned status = 0;
	for (int i = 0; i < STATUS_LEN; i++) {
		if (text[i] < '0' || text[i] > '9')
			return 0;
		status = status * 10 + (unsigned)(text[i] - '0');
	}
	*rest = text + STATUS_LEN;
	return status >= STATUS_MIN && status <= STATUS_MAX ? (uint16_t)status : 0;
}

static bool
parse_status_range(const char *text, struct status_range *range)
{
	const char *rest;
	range->first = parse_status(text, &rest);
	if (!range->first)
		return false;
	range->last = range->first;
	if (*rest == '-')
		range->last = parse_status(rest + 1, &rest);
	return range->last >= range->first && !*rest;
}

static void
read_status(const struct load *load, cfg_t *section, struct check_conf *check)
{
	check->status_count = value_count(section, "status");
	check->status = mem_new(check->status_count, sizeof(*check->status));
	if (!check->status_count)
		report_error(load->report, load->file, grammar_section_line(section),
			"`status` is an empty list; give a code or range, as in status = 200");
	for (size_t i = 0; i < check->status_count; i++) {
		struct value value = value_at(section, "status", i);
		if (!parse_status_range(value.text, &check->status[i]))
			value_error(load, &value,
				"is no HTTP status; give codes from %d to %d or ranges of them, as "
				"in { 200-299, 302 }",
				STATUS_MIN, STATUS_MAX);
	}
}

static char *
read_path(const struct load *load, cfg_t *section)
{
	struct value value = value_get(section, "path");
	if (*value.text != '/')
		value_error(load, &value, "does not begin with /; write it as /%s", value.text);
	else if (!check_is_plain(value.text, PATH_LEN_MAX))
		value_error(load, &value,
			"has blanks or bytes that are not ASCII, or is longer than %d bytes; write "
			"such bytes as %%20",
			PATH_LEN_MAX);
	return mem_text(value.text);
}

static char *
read_host(const struct load *load, cfg_t *section)
{
	struct value value = value_get(section, "host");
	if (!check_is_plain(value.text, HOST_LEN_MAX))
		value_error(load, &value,
			"has blanks or bytes that are not ASCII, or is longer than %d bytes; give "
			"the name that the probe shall ask for, or \"\" for the backend's address",
			HOST_LEN_MAX);
	return mem_text(value.text);
}

/* A probe is over before the next begins: one that hangs beyond the interval delays it. */
static void
warn_slow(const struct load *load, cfg_t *section, const struct check_conf *check)
{
	char timeout[DURATION_TEXT_MAX], interval[DURATION_TEXT_MAX];
	if (check->type == CHECK_NONE || check->timeout_ms <= check->interval_ms)
		return;
	unsigned line = value_get(section, "timeout").line;
	report_warning(load->report, load->file, line ? line : value_get(section, "interval").line,
		"the probe's timeout (%s) is longer than its interval (%s): a backend that hangs "
		"is "
		"found late; set timeout to at most %s",
		unit_format_duration(check->timeout_ms, timeout),
		unit_format_duration(check->interval_ms, interval), interval);
}

/* Whom an https probe trusts, by the pool's authorities; anybody, unless the configuration says
 * otherwise: it asks how the backend is, and tells nobody anything. */
static void
read_trust(const struct load *load, cfg_t *pool, struct check_conf *check)
{
	struct value verify = value_get(cfg_getsec(pool, "health"), "tls_verify");
	bool verifies = value_yes(load, &verify);
	if (check->type == CHECK_HTTPS)
		check->trust = check_trust(load, pool, verifies);
}

void
check_health(const struct load *load, cfg_t *pool, struct check_conf *check)
{
	static const uint16_t default_ports[] = {
		[CHECK_HTTP] = HTTP_PORT,
		[CHECK_HTTPS] = HTTPS_PORT,
		[CHECK_SMTP] = OWN_PORT,
	};
	cfg_t *section = cfg_getsec(pool, "health");
	static const struct choice types[] = {
		{.name = "http", .value = CHECK_HTTP},
		{.name = "none", .value = CHECK_NONE},
		{.name = "tcp", .value = CHECK_TCP},
		{.name = "smtp", .value = CHECK_SMTP},
		{.name = "https", .value = CHECK_HTTPS},
		{.name = NULL},
	};
	struct value type = value_get(section, "type");
	check->type = (enum check_type)value_choice(load, &type, types);
	struct value port = value_get(section, "port");
	check->port = default_ports[check->type];
	if (port.text)
		check->port = (uint16_t)value_number(load, &port, 1, PORT_MAX);
	check->path = read_path(load, section);
	check->host = read_host(load, section);
	read_status(load, section, check);
	size_t errors = load->report->errors;
	struct value interval = value_get(section, "interval");
	check->interval_ms = value_duration(load, &interval, INTERVAL_MIN_MS, DAY_MS);
	struct value timeout = value_get(section, "timeout");
	check->timeout_ms = value_duration(load, &timeout, 1, HOUR_MS);
	if (errors == load->report->errors)
		warn_slow(load, section, check);
	struct value rise = value_get(section, "rise");
	check->rise = (unsigned)value_number(load, &rise, 1, COUNT_MAX);
	struct value fall = value_get(section, "fall");
	check->fall = (unsigned)value_number(load, &fall, 1, COUNT_MAX);
	struct value greeting_fall = value_get(section, "greeting_fall");
	check->greeting_fall = (unsigned)value_number(load, &greeting_fall, 0, COUNT_MAX);
	read_trust(load, pool, check);
}

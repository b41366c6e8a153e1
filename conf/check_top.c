/*
 * The top level's keys, and the sections log and admin; see check.h.
 */
#include "conf/check.h"
#include "acl/mem.h"
#include "conf/unit.h"

#include <pwd.h>
#include <sched.h>
#include <string.h>
#include <unistd.h>

enum {
	WORKERS_MAX = 256,
	SESSIONS_MAX = 10 * 1000 * 1000,
	HOSTNAME_LEN_MAX = 255,
	DRAIN_MAX_MS = DAY_MS,
};

/* It goes into replies to clients: a domain, or an address literal as RFC 5321 section 4.1.3. */
static char *
read_hostname(const struct load *load, cfg_t *top)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				      "0123456789.-_[]:";
	struct value value = value_get(top, "hostname");
	char own[HOSTNAME_LEN_MAX + 2] = "";
	if (!value.text) {
		gethostname(own, sizeof(own) - 1);
		value.text = own;
	}
	size_t len = strlen(value.text);
	if (!len || len > HOSTNAME_LEN_MAX || strspn(value.text, allowed) != len)
		value_error(load, &value,
			"is no host name; give the one that clients shall see, as in hostname = "
			"lb1.example.jp");
	return mem_text(value.text);
}

static unsigned
read_workers(const struct load *load, cfg_t *top)
{
	struct value value = value_get(top, "workers");
	uint64_t number;
	const char *why;
	if (strcmp(value.text, "auto") != 0) {
		if (unit_parse_number(&number, value.text, &why) == 0 && number >= 1 &&
			number <= WORKERS_MAX)
			return (unsigned)number;
		value_error(load, &value, "is neither auto nor a number from 1 to %d", WORKERS_MAX);
		return 1;
	}
	cpu_set_t cpus;
	if (sched_getaffinity(0, sizeof(cpus), &cpus) < 0)
		return 1;
	int count = CPU_COUNT(&cpus);
	return count < WORKERS_MAX ? (unsigned)count : WORKERS_MAX;
}

static char *
read_user(const struct load *load, cfg_t *top)
{
	struct value value = value_get(top, "user");
	bool is_known = value.line || load->whole; /* or may still be set, behind a syntax error */
	if (is_known && geteuid() == 0 && *value.text && !getpwnam(value.text))
		value_error(load, &value,
			"names no user of this machine; create it (useradd --system %s), name "
			"another, or set it to \"\" to stay root",
			value.text);
	return mem_text(value.text);
}

static void
check_log(const struct load *load, cfg_t *log, struct snapshot *snapshot)
{
	static const struct choice targets[] = {
		{.name = "stderr", .value = LOG_STDERR},
		{.name = "syslog", .value = LOG_SYSLOG},
		{.name = NULL},
	};
	static const struct choice formats[] = {
		{.name = "logfmt", .value = LOG_LOGFMT},
		{.name = "json", .value = LOG_JSON},
		{.name = "elb", .value = LOG_ELB},
		{.name = NULL},
	};
	static const struct choice levels[] = {
		{.name = "error", .value = LOG_LEVEL_ERROR},
		{.name = "warning", .value = LOG_LEVEL_WARNING},
		{.name = "info", .value = LOG_LEVEL_INFO},
		{.name = "debug", .value = LOG_LEVEL_DEBUG},
		{.name = NULL},
	};
	struct value target = value_get(log, "target");
	struct value format = value_get(log, "format");
	struct value level = value_get(log, "level");
	snapshot->log_target = (enum log_target)value_choice(load, &target, targets);
	snapshot->log_format = (enum log_format)value_choice(load, &format, formats);
	snapshot->log_level = (enum log_level)value_choice(load, &level, levels);
}

static void
check_admin(const struct load *load, cfg_t *admin, struct admin_conf *conf)
{
	struct value path = value_get(admin, "socket");
	if (check_path(load, &path) && strlen(path.text) > ADMIN_PATH_MAX)
		value_error(load, &path,
			"is longer than the %d bytes that a socket's path may have",
			ADMIN_PATH_MAX);
	conf->socket = mem_text(path.text);
	conf->socket_line = path.line;
	struct value listen = value_get(admin, "listen");
	conf->listens = *listen.text != '\0';
	conf->listen_line = listen.line;
	if (conf->listens && endpoint_parse(&conf->listen, listen.text) < 0)
		value_error(load, &listen,
			"is no address with a port; write it as 127.0.0.1:8025 or [::1]:8025, or "
			"\"\" for none");
}

void
check_top(const struct load *load, cfg_t *top, struct snapshot *snapshot)
{
	static const struct choice engines[] = {
		{.name = "auto", .value = ENGINE_AUTO},
		{.name = "libev", .value = ENGINE_LIBEV},
		{.name = "io_uring", .value = ENGINE_IO_URING},
		{.name = NULL},
	};
	static const struct choice sandboxes[] = {
		{.name = "auto"},
		{.name = "off"},
		{.name = "require", .refused = true},
		{.name = NULL},
	};
	snapshot->hostname = read_hostname(load, top);
	snapshot->workers = read_workers(load, top);
	struct value engine = value_get(top, "engine");
	snapshot->engine = (enum engine_choice)value_choice(load, &engine, engines);
	snapshot->engine_line = engine.line;
	snapshot->user = read_user(load, top);
	struct value max_sessions = value_get(top, "max_sessions");
	snapshot->max_sessions = value_number(load, &max_sessions, 0, SESSIONS_MAX);
	struct value drain_timeout = value_get(top, "drain_timeout");
	snapshot->drain_timeout_ms = value_duration(load, &drain_timeout, 0, DRAIN_MAX_MS);
	struct value sandbox = value_get(top, "sandbox");
	value_choice(load, &sandbox, sandboxes);
	check_log(load, cfg_getsec(top, "log"), snapshot);
	check_admin(load, cfg_getsec(top, "admin"), &snapshot->admin);
}

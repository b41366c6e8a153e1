/*
 * What all kinds of check share: see check.h. Runs in the probe's thread; the opening is the
 * check's from check_begin to check_fini.
 */
#include "health/check.h"

#include "lb/wire/proxy.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	SMTP_PORT = 25,
	HOST_MAX = 255, /* bytes of a Host header that a configuration may have */
};

static const struct check_kind *const kinds[] = {
	[CHECK_HTTP] = &check_http,
	[CHECK_HTTPS] = &check_http,
	[CHECK_TCP] = &check_tcp,
	[CHECK_SMTP] = &check_smtp,
};

const char *
probe_cause_name(enum probe_cause cause)
{
	switch (cause) {
	case PROBE_OK:
		return "ok";
	case PROBE_STATUS:
		return "status";
	case PROBE_REFUSED:
		return "refused";
	case PROBE_RESET:
		return "reset";
	case PROBE_CLOSED:
		return "closed";
	case PROBE_TIMEOUT:
		return "timeout";
	case PROBE_MALFORMED:
		return "malformed";
	case PROBE_REPLY:
		return "reply";
	case PROBE_TLS:
		return "tls";
	case PROBE_RESOURCES:
		return "resources";
	}
	return "?";
}

uint16_t
check_port(const struct pool_conf *pool, const struct backend_conf *backend)
{
	if (pool->check.port != 0)
		return pool->check.port;
	return backend->port != 0 ? backend->port : SMTP_PORT;
}

static bool
has_port(const struct listener_conf *listener, uint16_t port)
{
	for (size_t i = 0; i < listener->bind_count; i++) {
		if (listener->binds[i].endpoint.port == port)
			return true;
	}
	return false;
}

bool
check_is_at_mail_port(const struct snapshot *snapshot, const struct pool_conf *pool,
	const struct backend_conf *backend)
{
	if (pool->check.port == 0)
		return true;
	if (backend->port != 0)
		return backend->port == pool->check.port;
	for (size_t i = 0; i < snapshot->listener_count; i++) {
		const struct listener_conf *listener = &snapshot->listeners[i];
		if (listener->pool == pool && has_port(listener, pool->check.port))
			return true;
	}
	return false;
}

void
check_init(struct check *check, const struct check_conf *conf)
{
	*check = (struct check){.kind = kinds[conf->type], .conf = conf};
}

void
check_fini(struct check *check)
{
	free(check->header);
	free(check->words);
	*check = (struct check){0};
}

enum check_step
check_decide(struct check *check, enum probe_cause cause, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	vsnprintf(check->detail, sizeof(check->detail), format, args);
	va_end(args);
	check->cause = cause;
	return CHECK_DECIDED;
}

int
check_open_with_proxy(struct check *check, const struct check_scene *scene)
{
	uint8_t header[PROXY_HEADER_MAX];
	check->header_len = proxy_encode_own(header, scene->proxy, &scene->own, &scene->remote);
	if (check->header_len == 0)
		return 0;
	check->header = malloc(check->header_len);
	if (!check->header)
		return -1;
	memcpy(check->header, header, check->header_len);
	return 0;
}

bool
check_is_secure(const struct pool_conf *pool)
{
	return pool->check.type == CHECK_HTTPS ||
	       (pool->check.type == CHECK_SMTP && pool->tls == TLS_IMPLICIT);
}

/* A Host header's name or address without its port (RFC 9110 section 7.2). */
static const char *
host_name(const char *host, char name[HOST_MAX + 1])
{
	const char *colon = strchr(host, ':');
	bool is_bracketed = *host == '[';
	size_t len = strlen(host);
	if (is_bracketed)
		len = strcspn(++host, "]");
	else if (colon && !strchr(colon + 1, ':'))
		len = (size_t)(colon - host);
	snprintf(name, HOST_MAX + 1, "%.*s", (int)len, host);
	return name;
}

SSL *
check_open_tls(const struct pool_conf *pool, const struct endpoint *remote)
{
	char name[HOST_MAX + 1];
	if (pool->check.type == CHECK_HTTPS)
		return trust_open(pool->check.trust, host_name(pool->check.host, name), remote);
	return trust_open(pool->trust, pool->tls_name, remote);
}

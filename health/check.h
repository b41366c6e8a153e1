/*
 * A check is what one probe and one backend say to each other: what we send once connected, what
 * is awaited, the verdict on it. Each kind of check is a room of its own (check_http, check_tcp,
 * check_smtp); probe.h does the connection, the deadline and the close for all of them.
 *
 * Pure: no I/O, no clock. Runs in the probe's thread; the struct is the probe's.
 */
#ifndef HEALTH_CHECK_H
#define HEALTH_CHECK_H

#include "acl/addr.h"
#include "conf/snapshot.h"
#include "health/health.h"
#include "health/http.h"
#include "lb/wire/greeting.h"
#include "lb/wire/upgrade.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	CHECK_DETAIL_MAX = 256,
};

struct check {
	const struct check_kind *kind;
	const struct check_conf *conf;
	char *header; /* what is sent first, in the clear, the check's; NULL = nothing */
	size_t header_len;
	char *words; /* and what is said then, likewise */
	size_t words_len;
	enum probe_cause cause; /* the verdict, once it has fallen */
	char detail[CHECK_DETAIL_MAX];
	union { /* the kind's own */
		struct http_reply http;
		struct {
			struct greeting greeting;
			const char *hostname;   /* for EHLO; NULL: TLS is not asked for */
			bool upgrades;          /* it is, behind the greeting: */
			struct upgrade upgrade; /* what is answered */
		} smtp;
	} reply;
};

/* The connection that a check begins on. */
struct check_scene {
	struct endpoint own, remote; /* its two ends */
	enum proxy_version proxy;    /* the pool's, */
	enum tls_mode tls;           /* as is that */
	const char *hostname;        /* ours; outlives the check */
	bool mail_port;              /* sessions may be sent to that port of the backend's */
};

/* What is to be done once a piece of the answer was read. */
enum check_step {
	CHECK_GOES_ON, /* read more */
	CHECK_DECIDED, /* the verdict has fallen */
	CHECK_SAYS,    /* say the words, which are new */
	CHECK_SECURES, /* begin TLS; when it stands, it is well */
};

struct check_kind {
	const char *awaited; /* for the log: "no reply", "without a reply" */
	const char *cut;     /* ... "in the middle of the header" */
	const char *parting; /* sent as soon as the verdict has fallen; "" = nothing */

	/* Prepares what is said and what is read. Returns 0, or -1 with errno. */
	int (*begin)(struct check *check, const struct check_scene *scene);

	/* Takes the next piece of the answer, len at least 1. Not called again once it is decided.
	 * NULL for a kind that awaits no answer: connected is enough. */
	enum check_step (*feed)(struct check *check, const uint8_t *piece, size_t len);
};

extern const struct check_kind check_http, check_tcp, check_smtp;

/* The port that a backend is checked at. */
uint16_t check_port(const struct pool_conf *pool, const struct backend_conf *backend);

/* Whether that is one to which sessions are sent: the backend's own, or, where it has none, one of
 * the listeners that the pool serves. */
bool check_is_at_mail_port(const struct snapshot *snapshot, const struct pool_conf *pool,
	const struct backend_conf *backend);

/* Ready for the kind's begin; conf is not of type none and outlives the check. */
void check_init(struct check *check, const struct check_conf *conf);
void check_fini(struct check *check);

/* Whether TLS comes first, right behind the header. */
bool check_is_secure(const struct pool_conf *pool);

/* The client's side of it, or of the one that a check asks for; NULL for want of memory. */
SSL *check_open_tls(const struct pool_conf *pool, const struct endpoint *remote);

/* For the kinds: gives the verdict; returns CHECK_DECIDED. What stands in args is free of control
 * bytes. */
enum check_step check_decide(struct check *check, enum probe_cause cause, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* For the kinds: the header is the one that a PROXY relay expects before anything else, of a
 * connection of our own; none in a pool without PROXY. */
int check_open_with_proxy(struct check *check, const struct check_scene *scene);

#endif

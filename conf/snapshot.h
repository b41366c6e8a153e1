/*
 * The configuration as the rest of the program sees it: one immutable snapshot with every value
 * checked, every default filled in, every name resolved. References are counted atomically; the
 * last snapshot_unref frees everything it holds, acls included. Any thread may read it.
 *
 * All durations are milliseconds. Strings are never NULL unless said so here.
 */
#ifndef CONF_SNAPSHOT_H
#define CONF_SNAPSHOT_H

#include "acl/acl.h"
#include "acl/addr.h"
#include "acl/geo.h"
#include "acl/report.h"
#include "acl/sources.h"
#include "conf/certificates.h"
#include "conf/trust.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum log_level {
	LOG_LEVEL_ERROR,
	LOG_LEVEL_WARNING,
	LOG_LEVEL_INFO,
	LOG_LEVEL_DEBUG,
};

enum log_target {
	LOG_STDERR,
	LOG_SYSLOG,
};

enum log_format {
	LOG_LOGFMT,
	LOG_JSON,
	LOG_ELB,
};

enum balance {
	BALANCE_ROUNDROBIN,
	BALANCE_LEASTCONN,
	BALANCE_SOURCE,
};

enum proxy_version {
	PROXY_OFF,
	PROXY_V1,
	PROXY_V2,
};

enum on_deny {
	ON_DENY_421,
	ON_DENY_554,
	ON_DENY_RESET,
	ON_DENY_DROP,
};

enum check_type {
	CHECK_NONE,
	CHECK_HTTP,
	CHECK_HTTPS,
	CHECK_TCP,
	CHECK_SMTP,
};

struct status_range {
	uint16_t first, last; /* 100 to 599, inclusive */
};

struct check_conf {
	enum check_type type;
	uint16_t port; /* 0 = the backend's own, 25 where it has none */
	char *path;
	char *host; /* the Host header; "" = the backend's address */
	struct status_range *status;
	size_t status_count;
	uint64_t interval_ms;
	uint64_t timeout_ms;
	unsigned rise, fall;    /* at least 1 */
	unsigned greeting_fall; /* 0 = off */
	struct trust *trust;    /* of CHECK_HTTPS; else NULL */
};

struct backend_conf {
	char *name;
	struct addr address;
	uint16_t port;         /* 0 = the port on which the client reached the listener */
	unsigned weight;       /* 1 to 256 */
	unsigned max_sessions; /* 0 = no limit */
	bool backup;
	unsigned line;
};

/* Of a listener's clients, or of a pool's relays, for whom it is never required. */
enum tls_mode { TLS_OFF, TLS_STARTTLS, TLS_STARTTLS_REQUIRED, TLS_IMPLICIT };

extern const char *const tls_mode_names[];

enum {
	NAME_LEN_MAX = 63, /* of an acl, pool, backend or listener */
};

enum {
	POOL_BACKENDS_MAX = 256,
};

struct pool_conf {
	char *name;
	enum balance balance;
	enum proxy_version proxy;
	bool proxy_tlv; /* with PROXY_V2 only */
	uint64_t connect_timeout_ms;
	uint64_t greeting_timeout_ms;
	uint64_t greeting_budget_ms;
	uint64_t greeting_retry_ms; /* 0 = each backend once */
	uint64_t queue_timeout_ms;  /* 0 = no waiting */
	struct addr
		source_address; /* ADDR_NONE = as the routes say; else of every backend's family */
	bool fail_open;
	unsigned rebalance_messages; /* 0 = never */
	uint64_t rebalance_age_ms;   /* 0 = never */
	enum tls_mode tls;
	bool tls_verify;
	char *tls_name;      /* "" = the backend's address */
	struct trust *trust; /* NULL with TLS_OFF */
	struct check_conf check;
	struct backend_conf *backends; /* 1 to POOL_BACKENDS_MAX */
	size_t backend_count;
	unsigned line;
};

struct bind_conf {
	struct endpoint endpoint;
	unsigned line;
};

/* A token bucket: so many at once, refilled evenly over the period. */
struct rate_conf {
	uint32_t count;     /* 0 = no limit; at most RATE_COUNT_MAX */
	uint32_t period_ms; /* at least 1, at most RATE_PERIOD_MAX_MS */
};

enum {
	RATE_COUNT_MAX = 1000 * 1000,
};

#define RATE_PERIOD_MAX_MS UINT32_C(2592000000) /* 30 days */

/* A client is an IPv4 address or an IPv6 /64. 0 = no limit. */
struct limits_conf {
	unsigned sessions; /* at the same time, of all clients */
	unsigned sessions_per_client;
	struct rate_conf connects_per_client;
	struct rate_conf messages_per_client;
};

struct listener_conf {
	char *name;
	struct bind_conf *binds; /* at least one */
	size_t bind_count;
	const struct acl *acl;        /* one of the snapshot's */
	const struct pool_conf *pool; /* one of the snapshot's */
	enum on_deny on_deny;
	uint64_t idle_timeout_ms;
	struct prefix *accept_proxy; /* sources that must send a PROXY header */
	size_t accept_proxy_count;
	uint64_t proxy_timeout_ms;
	struct limits_conf limits;
	enum tls_mode tls;
	struct certificates *certificates; /* of at least one pair; NULL with TLS_OFF */
	unsigned line;
};

enum {
	ADMIN_PATH_MAX = 107, /* bytes: of sockaddr_un */
};

/* Where the admin interface listens. A line of 0: nobody asked for it, it is the default. */
struct admin_conf {
	char *socket; /* a path; "" = nowhere */
	unsigned socket_line;
	bool listens;
	struct endpoint listen; /* where it listens */
	unsigned listen_line;
};

/* By what connections are moved. */
enum engine_choice { ENGINE_AUTO, ENGINE_LIBEV, ENGINE_IO_URING };

struct snapshot {
	char *file; /* as given on the command line */
	char *hostname;
	unsigned workers; /* at least 1; auto is resolved */
	enum engine_choice engine;
	unsigned engine_line;
	char *user;            /* "" = stay what we are */
	uint64_t max_sessions; /* 0 = what the descriptor limit allows */
	uint64_t drain_timeout_ms;
	enum log_target log_target;
	enum log_format log_format;
	enum log_level log_level;
	struct admin_conf admin;
	struct geo *geo[GEO_KINDS]; /* NULL where no rule needs it */
	struct acl **acls;
	size_t acl_count;
	struct pool_conf *pools;
	size_t pool_count;
	struct listener_conf *listeners; /* at least one */
	size_t listener_count;
	struct sources sources; /* the files that it was made from, but for `file` itself */
	char *text;             /* private, as what follows: what stood in the file */
	size_t text_len;
	unsigned refs;
};

/* Reads and checks the file and all that it names. On success returns a snapshot with one
 * reference; the report may hold warnings. On error returns NULL and the report holds at least one
 * error: all semantic ones, and the first syntax error. Opens no socket. Thread-safe as long as one
 * thread at a time is inside. */
struct snapshot *snapshot_load(const char *file, struct report *report);

/* The same from memory; `file` only names it in messages. For tests and fuzzing. */
struct snapshot *snapshot_parse(
	const char *file, const char *text, size_t len, struct report *report);

/* The same configuration once more, from the text that this snapshot was made from and from what
 * its lists and databases hold now. On error `refused`, which the caller has initialised, gets the
 * files that were read. */
struct snapshot *snapshot_again(
	const struct snapshot *snapshot, struct sources *refused, struct report *report);

/* The admin interface's socket by this file, for free(3), as far as the file can be read: for a
 * program that has to find a daemon which runs under an earlier, better version of it. The default
 * where the file does not say; "" for none. Never NULL. */
char *snapshot_admin_socket(const char *file);

struct snapshot *snapshot_ref(struct snapshot *snapshot);
void snapshot_unref(struct snapshot *snapshot); /* NULL is fine */

#endif

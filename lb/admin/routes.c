/*
 * See routes.h.
 */
#include "lb/admin/routes.h"

#include "lb/admin/answer.h"
#include "lb/admin/denied.h"
#include "lb/admin/events.h"
#include "lb/admin/history.h"
#include "lb/admin/metrics_page.h"
#include "lb/admin/page.h"
#include "lb/admin/process.h"
#include "lb/admin/json_text.h"
#include "lb/admin/path.h"
#include "lb/admin/sessions.h"
#include "lb/admin/status.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
	OK = 200,
	NOT_FOUND = 404,
	NOT_ALLOWED = 405,
	CONFLICT = 409,
	UNAVAILABLE = 503,
	RELOADS_MAX = 64, /* at once */
	DENIED_ROWS = 1000,
};

/* Those who wait for a reload's outcome. */
struct reloads {
	struct http_exchange *exchanges[RELOADS_MAX];
	size_t count;
};

struct routes {
	const struct serving *serving;
	const struct admin_orders *orders;
	void *context;
	struct sessions *sessions;
	struct process *process;
	struct history *history;
	struct reloads current; /* of the load under way */
	struct reloads behind;  /* of the one that follows it */
};

struct routes *
routes_new(struct ev_loop *loop, const struct serving *serving, const struct admin_orders *orders,
	void *context)
{
	struct routes *routes = calloc(1, sizeof(*routes));
	if (!routes)
		return NULL;
	routes->serving = serving;
	routes->orders = orders;
	routes->context = context;
	routes->sessions = sessions_new(loop, serving);
	routes->process = process_new("/proc/self");
	routes->history = history_new(loop, serving);
	if (routes->sessions && routes->process && routes->history)
		return routes;
	routes_free(routes);
	return NULL;
}

void
routes_free(struct routes *routes)
{
	sessions_free(routes->sessions);
	process_free(routes->process);
	history_free(routes->history);
	free(routes);
}

/* What is looked at. */

static void
give_page(struct routes *routes, struct http_exchange *exchange, const struct path *path)
{
	(void)routes;
	(void)path;
	answer_page(exchange, page_text, page_policy);
}

static void
give_health(struct routes *routes, struct http_exchange *exchange, const struct path *path)
{
	(void)path;
	if (routes->orders->is_stopping(routes->context))
		answer_text(exchange, UNAVAILABLE, "stopping\n");
	else if (status_is_healthy(routes->serving))
		answer_text(exchange, OK, "ok\n");
	else
		answer_text(exchange, UNAVAILABLE, "no backend is usable\n");
}

static void
give_metrics(struct routes *routes, struct http_exchange *exchange, const struct path *path)
{
	(void)path;
	answer_body(exchange, OK, METRICS_TYPE, metrics_page(routes->serving, routes->process));
}

static void
give_status(struct routes *routes, struct http_exchange *exchange, const struct path *path)
{
	(void)path;
	bool stopping = routes->orders->is_stopping(routes->context);
	answer_json(exchange, OK, status_json(routes->serving, stopping));
}

static void
give_sessions(struct routes *routes, struct http_exchange *exchange, const struct path *path)
{
	(void)path;
	sessions_give(routes->sessions, exchange);
}

static void
give_denied(struct routes *routes, struct http_exchange *exchange, const struct path *path)
{
	(void)path;
	answer_json(exchange, OK, denied_json(routes->serving, DENIED_ROWS));
}

static void
give_history(struct routes *routes, struct http_exchange *exchange, const struct path *path)
{
	(void)path;
	answer_json(exchange, OK, history_json(routes->history));
}

static void
give_events(struct routes *routes, struct http_exchange *exchange, const struct path *path)
{
	(void)routes;
	(void)path;
	answer_body(exchange, OK, "application/json", events_json());
}

/* Orders. */

static void
take_order(struct routes *routes, struct http_exchange *exchange, const struct path *path)
{
	const char *pool = path->parts[2], *backend = path->parts[4], *state = path->parts[5];
	if (routes->orders->is_retired(routes->context)) {
		answer_error(
			exchange, UNAVAILABLE, "another process has taken over: ask again", NULL);
		return;
	}
	if (routes->orders->order(routes->context, pool, backend, state) == 0)
		answer_json(exchange, OK,
			json_pack("{s:s, s:s, s:s}", "pool", pool, "backend", backend, "state",
				state));
	else
		answer_error(exchange, NOT_FOUND, "no such pool, backend or state", NULL);
}

static void
take_reload(struct routes *routes, struct http_exchange *exchange, const struct path *path)
{
	(void)path;
	bool behind;
	if (routes->behind.count == RELOADS_MAX) {
		answer_error(exchange, UNAVAILABLE, "too many ask", NULL);
		return;
	}
	if (routes->orders->reload(routes->context, &behind) < 0) {
		answer_error(exchange, UNAVAILABLE, strerror(errno), NULL);
		return;
	}
	struct reloads *reloads = behind ? &routes->behind : &routes->current;
	reloads->exchanges[reloads->count++] = exchange;
}

static json_t *
entries(const struct report *report, bool warning)
{
	json_t *array = json_array();
	for (size_t i = 0; i < report->count; i++) {
		if (report->entries[i].warning == warning)
			array = answer_add(array, json_text(report->entries[i].text));
	}
	return array;
}

void
routes_load_ended(struct routes *routes, bool own, const struct report *report)
{
	for (size_t i = 0; own && i < routes->current.count; i++) {
		json_t *json = json_pack("{s:o, s:o}", "errors", entries(report, false), "warnings",
			entries(report, true));
		answer_json(routes->current.exchanges[i], report->errors ? CONFLICT : OK, json);
	}
	routes->current = routes->behind;
	routes->behind.count = 0;
}

/* Ways. */

static const struct route {
	const char *method;
	const char *parts; /* between slashes; * is any */
	void (*handle)(struct routes *, struct http_exchange *, const struct path *);
} table[] = {
	{"GET", "", give_page},
	{"GET", "healthz", give_health},
	{"GET", "metrics", give_metrics},
	{"GET", "v1/status", give_status},
	{"GET", "v1/sessions", give_sessions},
	{"GET", "v1/denied", give_denied},
	{"GET", "v1/history", give_history},
	{"GET", "v1/events", give_events},
	{"POST", "v1/reload", take_reload},
	{"POST", "v1/pools/*/backends/*/*", take_order},
};

static void
handle(struct routes *routes, struct http_exchange *exchange, const char *method, const char *text,
	bool takes_orders)
{
	struct path path;
	const char *allow = NULL;
	bool reads = strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0;
	if (path_split(&path, text) < 0) {
		answer_error(exchange, NOT_FOUND, "no such page", NULL);
		return;
	}
	for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
		const struct route *route = &table[i];
		if (!path_leads_to(&path, route->parts))
			continue;
		bool is_read = strcmp(route->method, "GET") == 0;
		if ((is_read && reads) ||
			(!is_read && takes_orders && strcmp(method, route->method) == 0)) {
			route->handle(routes, exchange, &path);
			return;
		}
		allow = is_read ? "GET, HEAD" : route->method;
	}
	if (!allow)
		answer_error(exchange, NOT_FOUND, "no such page", NULL);
	else if (takes_orders)
		answer_error(exchange, NOT_ALLOWED, "not with this method", allow);
	else
		answer_error(exchange, NOT_ALLOWED, "orders are taken on the Unix socket only",
			"GET, HEAD");
}

void
routes_handle_all(
	void *context, struct http_exchange *exchange, const char *method, const char *path)
{
	handle(context, exchange, method, path, true);
}

void
routes_handle_reads(
	void *context, struct http_exchange *exchange, const char *method, const char *path)
{
	handle(context, exchange, method, path, false);
}

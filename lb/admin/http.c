/*
 * See http.h. The daemon of libmicrohttpd has no thread: what it waits for is in an epoll
 * descriptor, which the loop watches, and its timeouts are a timer of the loop.
 */
#include "lb/admin/http.h"

#include "lb/admin/guests.h"

#include <errno.h>
#include <microhttpd.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
	CONNECTIONS_MAX = 32,
	CONNECTION_MEMORY = 16 * 1024, /* bytes: a longer head is refused with 414 or 431 */
	BODY_MAX = 64 * 1024,          /* bytes; what is more is refused: no request needs any */
	IDLE_TIMEOUT_S = 10,
	RUNS_IN_A_ROW = 16, /* then the loop's others have their turn */
	STATUS_TOO_LARGE = 413,
	STATUS_UNAVAILABLE = 503,
};

static const double ACCEPT_PAUSE_S = 0.1;
static const char POLICY_NOTHING[] = "default-src 'none'; frame-ancestors 'none'";
static const char stops[] = "{\"error\":\"it stops\"}";
static const char too_large[] = "{\"error\":\"no request needs such a body\"}";

struct http {
	struct ev_loop *loop;
	struct MHD_Daemon *daemon;
	http_handler_fn *handler;
	void *context;
	ev_io ready;
	ev_timer timer;
	bool retired;
	struct http_exchange *waiting; /* suspended, unanswered */
	struct guests guests;
};

struct http_exchange {
	struct http *http;
	struct MHD_Connection *connection;
	struct MHD_Response *response; /* NULL until it is answered */
	unsigned status;
	size_t body_len;
	bool handled, suspended;
	struct http_exchange *next, **link; /* among those that wait */
};

/* Exchanges. */

struct header {
	const char *name, *value; /* no value: left out */
};

static bool
add_headers(struct MHD_Response *response, const struct http_answer *answer)
{
	const struct header headers[] = {
		{MHD_HTTP_HEADER_CONTENT_TYPE, answer->type},
		{MHD_HTTP_HEADER_CACHE_CONTROL, "no-store"},
		{"Content-Security-Policy", answer->policy ? answer->policy : POLICY_NOTHING},
		{"X-Content-Type-Options", "nosniff"},
		{"Referrer-Policy", "no-referrer"},
		{MHD_HTTP_HEADER_ALLOW, answer->allow},
	};
	for (size_t i = 0; i < sizeof(headers) / sizeof(*headers); i++) {
		if (headers[i].value &&
			!MHD_add_response_header(response, headers[i].name, headers[i].value))
			return false;
	}
	return true;
}

static struct MHD_Response *
make_response(const struct http_answer *answer)
{
	struct MHD_Response *response =
		MHD_create_response_from_buffer(answer->len, answer->body, MHD_RESPMEM_MUST_FREE);
	if (!response) {
		free(answer->body);
		return NULL;
	}
	if (add_headers(response, answer))
		return response;
	MHD_destroy_response(response);
	return NULL;
}

static void
suspend(struct http_exchange *exchange)
{
	struct http *http = exchange->http;
	exchange->suspended = true;
	exchange->next = http->waiting;
	if (exchange->next)
		exchange->next->link = &exchange->next;
	exchange->link = &http->waiting;
	http->waiting = exchange;
	guests_turn(&http->guests, exchange->connection, GUEST_WAITS);
	MHD_suspend_connection(exchange->connection);
}

static void
resume(struct http_exchange *exchange)
{
	exchange->suspended = false;
	*exchange->link = exchange->next;
	if (exchange->next)
		exchange->next->link = exchange->link;
	struct http *http = exchange->http;
	guests_turn(&http->guests, exchange->connection, GUEST_TAKES);
	MHD_resume_connection(exchange->connection);
	/* It goes on in the loop's next round, not within the caller. */
	ev_feed_event(http->loop, &http->ready, EV_READ);
}

void
http_answer(struct http_exchange *exchange, const struct http_answer *answer)
{
	exchange->status = answer->status;
	exchange->response = make_response(answer);
	exchange->handled = true;
	if (exchange->suspended)
		resume(exchange);
}

/* A static text in JSON. */
static void
refuse(struct http_exchange *exchange, unsigned status, const char *json)
{
	char *body = strdup(json);
	struct http_answer answer = {
		.status = status,
		.type = "application/json",
		.body = body,
		.len = body ? strlen(body) : 0,
	};
	http_answer(exchange, &answer);
}

void *
http_context(const struct http_exchange *exchange)
{
	return exchange->http->context;
}

/* What libmicrohttpd calls. */

/* By its own account; a body in chunks shows as it comes. */
static bool
is_too_large(struct MHD_Connection *connection)
{
	const char *len = MHD_lookup_connection_value(
		connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_CONTENT_LENGTH);
	return len && strtoull(len, NULL, 10) > BODY_MAX;
}

/* Only the head has come. */
static enum MHD_Result
begin(struct http *http, struct MHD_Connection *connection, void **state)
{
	struct http_exchange *exchange =
		guests_know(connection) ? calloc(1, sizeof(*exchange)) : NULL;
	if (!exchange)
		return MHD_NO;
	exchange->http = http;
	exchange->connection = connection;
	*state = exchange;
	if (!is_too_large(connection))
		return MHD_YES;
	refuse(exchange, STATUS_TOO_LARGE, too_large);
	return exchange->response
		       ? MHD_queue_response(connection, exchange->status, exchange->response)
		       : MHD_NO;
}

static enum MHD_Result
on_request(void *context, struct MHD_Connection *connection, const char *path, const char *method,
	const char *version, const char *body, size_t *body_len, void **state)
{
	(void)version;
	(void)body;
	struct http_exchange *exchange = *state;
	if (!exchange)
		return begin(context, connection, state);
	if (*body_len) {
		exchange->body_len += *body_len;
		*body_len = 0;
		return exchange->body_len > BODY_MAX ? MHD_NO : MHD_YES;
	}
	if (!exchange->handled)
		exchange->http->handler(exchange->http->context, exchange, method, path);
	if (!exchange->handled) {
		suspend(exchange);
		return MHD_YES;
	}
	if (!exchange->response) /* no memory for it */
		return MHD_NO;
	guests_turn(&exchange->http->guests, connection, GUEST_TAKES);
	return MHD_queue_response(connection, exchange->status, exchange->response);
}

static void
on_completed(void *context, struct MHD_Connection *connection, void **state,
	enum MHD_RequestTerminationCode code)
{
	(void)code;
	struct http_exchange *exchange = *state;
	struct http *http = context;
	if (!exchange)
		return;
	guests_turn(&http->guests, connection, GUEST_ASKS);
	if (exchange->response)
		MHD_destroy_response(exchange->response);
	free(exchange);
	*state = NULL;
}

/* The loop. */

static unsigned
count_connections(const struct http *http)
{
	return MHD_get_daemon_info(http->daemon, MHD_DAEMON_INFO_CURRENT_CONNECTIONS)
		->num_connections;
}

static bool
is_due(const struct http *http)
{
	MHD_UNSIGNED_LONG_LONG after_ms;
	return MHD_get_timeout(http->daemon, &after_ms) == MHD_YES && after_ms == 0;
}

/* Once more where libmicrohttpd has not done all that it could, and where connections have ended:
 * only then are those accepted who waited for room. */
static void
run(struct http *http)
{
	for (unsigned i = 0; i < RUNS_IN_A_ROW; i++) {
		unsigned before = count_connections(http);
		MHD_run(http->daemon);
		guests_cut_ended(&http->guests);
		if (count_connections(http) >= before && !is_due(http))
			return;
	}
}

static void
wait_at_most(struct http *http, double after_s)
{
	ev_timer_stop(http->loop, &http->timer);
	ev_timer_set(&http->timer, after_s, 0);
	ev_timer_start(http->loop, &http->timer);
}

/* Whether somebody waits to be let in although there is room: no descriptor for him, no memory. Not
 * who has come since the last look. While there are connections libmicrohttpd itself looks away
 * until one of them has ended. */
static bool
can_not_accept(struct http *http)
{
	struct pollfd epoll = {.fd = http->ready.fd, .events = POLLIN};
	uint64_t come = http->guests.come;
	if (count_connections(http) > 0 || poll(&epoll, 1, 0) <= 0)
		return false;
	run(http);
	return http->guests.come == come;
}

static void
turn(struct http *http)
{
	MHD_UNSIGNED_LONG_LONG after_ms;
	run(http);
	if (http->retired && count_connections(http) == 0) {
		http_free(http);
	} else if (can_not_accept(http)) {
		ev_io_stop(http->loop, &http->ready);
		wait_at_most(http, ACCEPT_PAUSE_S);
	} else if (MHD_get_timeout(http->daemon, &after_ms) == MHD_YES) {
		wait_at_most(http, (double)after_ms / 1000);
	} else {
		ev_timer_stop(http->loop, &http->timer);
	}
}

static void
on_ready(struct ev_loop *loop, ev_io *ready, int events)
{
	(void)loop;
	struct http *http = ready->data;
	if (events & EV_ERROR)
		wait_at_most(http, ACCEPT_PAUSE_S); /* it can't be watched; once more then */
	else
		turn(http);
}

/* After a pause, or when libmicrohttpd wants it. */
static void
on_timer(struct ev_loop *loop, ev_timer *timer, int events)
{
	(void)events;
	struct http *http = timer->data;
	ev_io_start(loop, &http->ready);
	turn(http);
}

struct http *
http_new(struct ev_loop *loop, int fd, http_handler_fn *handler, void *context)
{
	struct http *http = calloc(1, sizeof(*http));
	if (!http)
		return NULL;
	http->loop = loop;
	http->handler = handler;
	guests_init(&http->guests, loop);
	http->context = context;
	http->daemon = MHD_start_daemon(MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME, 0, NULL, NULL,
		on_request, http, MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_CONNECTION_LIMIT,
		(unsigned)CONNECTIONS_MAX, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
		(size_t)CONNECTION_MEMORY, MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)IDLE_TIMEOUT_S,
		MHD_OPTION_NOTIFY_COMPLETED, on_completed, http, MHD_OPTION_NOTIFY_CONNECTION,
		guests_notice, &http->guests, MHD_OPTION_END);
	if (!http->daemon) {
		free(http);
		errno = ENOMEM;
		return NULL;
	}
	int epoll_fd = MHD_get_daemon_info(http->daemon, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd;
	ev_io_init(&http->ready, on_ready, epoll_fd, EV_READ);
	ev_init(&http->timer, on_timer);
	http->ready.data = http->timer.data = http;
	return http;
}

void
http_start(struct http *http)
{
	ev_io_start(http->loop, &http->ready);
}

int
http_socket(const struct http *http)
{
	return MHD_get_daemon_info(http->daemon, MHD_DAEMON_INFO_LISTEN_FD)->listen_fd;
}

void
http_retire(struct http *http)
{
	MHD_socket fd = MHD_quiesce_daemon(http->daemon);
	if (fd != MHD_INVALID_SOCKET)
		close(fd);
	http->retired = true;
	ev_feed_event(http->loop, &http->ready, EV_READ);
}

static void
refuse_all(void *context, struct http_exchange *exchange, const char *method, const char *path)
{
	(void)context;
	(void)method;
	(void)path;
	refuse(exchange, STATUS_UNAVAILABLE, stops);
}

void
http_free(struct http *http)
{
	if (!http)
		return;
	http->handler = refuse_all;
	while (http->waiting)
		refuse(http->waiting, STATUS_UNAVAILABLE, stops);
	MHD_run(http->daemon);
	MHD_stop_daemon(http->daemon);
	ev_io_stop(http->loop, &http->ready);
	ev_timer_stop(http->loop, &http->timer);
	free(http);
}

/*
 * An HTTP/1.1 server on one listening socket: libmicrohttpd, run by a libev loop. Its callers see
 * exchanges, each a request that wants one answer, at once or later.
 *
 * Belongs to the loop's thread.
 */
#ifndef LB_ADMIN_HTTP_H
#define LB_ADMIN_HTTP_H

#include <ev.h>
#include <stddef.h>

struct http;
struct http_exchange;

/* A request has come whole; what came as its body was thrown away. path is decoded, without the
 * query; both texts are valid during the call only. The exchange must be answered, now or later. */
typedef void http_handler_fn(
	void *context, struct http_exchange *exchange, const char *method, const char *path);

struct http_answer {
	unsigned status;
	const char *type;   /* of the content; static */
	const char *allow;  /* with 405: the methods; static, NULL for none */
	const char *policy; /* what a page may load (Content-Security-Policy); NULL: nothing */
	char *body;         /* for free(3), by whom it is given to */
	size_t len;
};

/* Makes a server for a listening socket, which it takes if it succeeds; NULL with errno. */
struct http *http_new(struct ev_loop *loop, int fd, http_handler_fn *handler, void *context);

/* Serves from now on. */
void http_start(struct http *http);

/* The listening socket, which stays the server's. */
int http_socket(const struct http *http);

/* Accepts no more, and goes when the last connection has: of an exchange that waits for its answer
 * the client still gets it. */
void http_retire(struct http *http);

/* Ends it now: exchanges that wait are answered with 503, and void. NULL is fine. */
void http_free(struct http *http);

/* Answers an exchange, which is void from then on. */
void http_answer(struct http_exchange *exchange, const struct http_answer *answer);

/* The server's context, of an exchange. */
void *http_context(const struct http_exchange *exchange);

#endif

/*
 * One connection to the sink, of whichever kind: SMTP, perhaps behind a PROXY header, or an HTTP
 * probe. A client owns its socket and a fixed amount of memory, and frees itself when the
 * connection ends. All of it runs in the sink's only thread.
 */
#ifndef BENCH_CLIENT_H
#define BENCH_CLIENT_H

#include "acl/addr.h"
#include "bench/header.h"

#include <ev.h>
#include <stdbool.h>
#include <stdint.h>

struct client;

/* What all clients share. */
struct sink {
	struct ev_loop *loop;
	const char *name;
	enum header_kind header;
	int record_fd; /* -1 = no record */
	bool silent;   /* withholds greetings; who was greeted is served */
	bool discard;  /* most of a message is dropped by the kernel, unread */
	uint64_t kept; /* messages */
	struct client *clients;
};

/* Takes over the connected, non-blocking socket. On no memory it is just closed. */
void client_new_smtp(struct sink *sink, int fd, const struct endpoint *source);
void client_new_http(struct sink *sink, int fd, const struct endpoint *source);

/* Greets all who wait for it; for the end of a silence. */
void clients_greet(struct sink *sink);

/* Closes all connections. */
void clients_free(struct sink *sink);

#endif

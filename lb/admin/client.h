/*
 * The command line's side of the admin interface: one request on the daemon's Unix socket.
 */
#ifndef LB_ADMIN_CLIENT_H
#define LB_ADMIN_CLIENT_H

#include <jansson.h>
#include <stddef.h>

struct client_reply {
	unsigned status;
	json_t *json; /* for json_decref */
};

/* Asks and awaits the answer, wait_s seconds at most. Returns 0; or -1 with the reason on stderr:
 * the daemon can't be reached, or what came is no answer of its. */
int client_ask(struct client_reply *reply, const char *path_of_socket, const char *method,
	const char *path, unsigned wait_s);

/* Reads what came until the connection's end, behind which stands a NUL. Returns 0, or -1 when that
 * is no whole answer in JSON; then there is nothing to free. */
int client_parse(struct client_reply *reply, const char *text, size_t len);

#endif

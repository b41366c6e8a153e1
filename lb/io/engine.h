/*
 * What an engine does for the conns, and what it finds in common with the others. Nobody but conn.c
 * and the engines needs this.
 */
#ifndef LB_IO_ENGINE_H
#define LB_IO_ENGINE_H

#include "lb/io/conn.h"

#include <stdbool.h>

struct engine {
	const char *name;
	/* 0, or -1 with errno and nothing left behind. */
	int (*init)(struct io *io);
	int (*start)(struct io *io);
	void (*fini)(struct io *io);
	/* `connected` follows; or -1 with errno. */
	int (*connect)(struct conn *conn, const struct endpoint *to);
	/* Looks at what the conn waits for: receiving, unread, awaiting_leave. */
	void (*watch)(struct conn *conn);
	/* The queue has one more chunk. True when all of it has gone. */
	bool (*send)(struct conn *conn);
	/* Has the kernel take at once what it takes of the queue. */
	void (*push)(struct conn *conn);
	bool (*is_offering)(const struct conn *conn);
	/* Sends FIN; the queue is empty. */
	void (*shutdown)(struct conn *conn);
	/* Closes fd, and sends what the kernel takes at once of the queue. */
	void (*close)(struct conn *conn);
	bool (*is_at_rest)(const struct conn *conn);
	void (*settle)(struct io *io);
};

/* Tells that connecting has come to this: an errno, or 0 when the socket knows of no error. */
void conn_finish_connect(struct conn *conn, int error);

void conn_drop_queue(struct conn *conn);

/* Sending has failed. The receiving side tells the end, behind what was received already. */
void conn_give_up_sending(struct conn *conn);

/* All that was queued has gone, or never will; by TLS some may have been that the owner did not
 * send. */
void conn_tell_sent(struct conn *conn);

/* Tells of the end: an errno, or 0 for a FIN. */
void conn_end_receiving(struct conn *conn, int error);

/* Bytes have come for a conn that receives; or for one that has paused meanwhile. */
void conn_take(struct conn *conn, struct chunk *chunk);
void conn_hold(struct conn *conn, struct chunk *chunk);

/* Whether bytes that have come wait for conn_receive, and gives them up. */
bool conn_has_held(const struct conn *conn);
void conn_receive_again(struct conn *conn);

/* Queues bytes as they go over the wire, as conn_send does. */
bool conn_queue(struct conn *conn, struct chunk *chunk);

/* The other end may have done something while it should only wait for it. Takes nothing, and tells
 * if it has left. */
void conn_peek(struct conn *conn);

#endif

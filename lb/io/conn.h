/*
 * One side of a session: a TCP connection to a client or to a backend, behind an interface that is
 * shaped by completions. Received bytes come up as chunks, chunks to send go down, and both sides'
 * ends are told and kept in order. The session code does not know by which engine.
 *
 * A conn is part of its owner's memory and belongs to one worker's thread. Events are called from
 * that worker's loop, never from inside a call to a conn_* function. An event may close the conn;
 * its memory must stay until the loop's outermost callback has returned, and conn_is_at_rest.
 */
#ifndef LB_IO_CONN_H
#define LB_IO_CONN_H

#include "acl/addr.h"
#include "lb/io/chunk.h"
#include "lb/io/waker.h"

#include <ev.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct conn;

struct conn_events {
	/* The connection that conn_connect began stands (error 0), or does not: connect(2)'s
	 * errno, for socket_connect_error. */
	void (*connected)(struct conn *conn, int error);
	/* TLS stands (tls.h). */
	void (*secured)(struct conn *conn);
	/* The next bytes. The chunk is the callee's. */
	void (*received)(struct conn *conn, struct chunk *chunk);
	/* The other end sent its FIN, behind all that was received. */
	void (*ended)(struct conn *conn);
	/* Nothing more will be received: reset, or given up by TCP (an errno). */
	void (*failed)(struct conn *conn, int error);
	/* All that was queued by conn_send has gone to the kernel, or will never go. */
	void (*sent)(struct conn *conn);
	/* While conn_await_leave: the other end is gone without having sent a byte, or by a
	 * reset. */
	void (*left)(struct conn *conn);
};

struct engine;
struct ring;
struct tls;

/* By readiness, on every kernel; and by completion, on Linux 6.1 and later. */
extern const struct engine engine_libev, engine_uring;

/* What the conns of a worker share. */
struct io {
	const struct engine *engine;
	struct ev_loop *loop;
	struct chunk_pool chunks;
	struct waker waker;
	struct ring *ring; /* engine_uring's */
};

/* Returns 0, or -1 with errno when the kernel does not give what the engine needs, which
 * engine_libev's always does. The loop's user data and release callback are the io's until
 * io_fini. */
int io_init(struct io *io, struct ev_loop *loop, const struct engine *engine);

/* From the thread that will run the loop, before it does. 0, or -1 with errno. */
int io_start(struct io *io);
void io_fini(struct io *io); /* every conn must be closed */

/* Has the kernel do at once what was begun: what was sent goes as far as it goes, and what was
 * closed is closed, its descriptor free again. From the loop's thread. */
void io_settle(struct io *io);

/* engine_uring's part of a conn. */
struct ring_side {
	struct conn *next_due; /* among those that the ring has to look at */
	uint16_t generation;   /* tells what is completed for an earlier connection */
	uint16_t pending;    /* operations in the kernel that name this conn, of all generations */
	uint16_t send_round; /* in which it began to send */
	bool due : 1;        /* is among them */
	bool receives : 1, watches : 1; /* has such an operation in the kernel, */
	bool sends : 1;                 /* or the queue's first chunk is in one */
	bool has_more : 1;              /* the socket had, when it was received from last */
	bool has_end : 1;               /* was received while nothing should be, */
	struct io *io;
	int end; /* an errno, or 0 for a FIN */
};

/* The io of a conn is where libev keeps its watchers' data, whatever the engine. */
struct conn_base {
	char beneath[offsetof(ev_io, data)];
	struct io *io;
};

_Static_assert(offsetof(struct conn_base, io) == offsetof(ev_io, data) &&
		       offsetof(struct conn_base, io) == offsetof(struct ring_side, io),
	"one place for either engine");

struct conn {
	const struct conn_events *events;
	union {
		struct conn_base base;
		ev_io watcher; /* engine_libev's */
		struct ring_side ring;
	};
	struct chunk *queue; /* to be sent, oldest first */
	union {
		struct chunk *unread; /* given back, to be received again */
		struct tls *tls;      /* is_secure */
	};
	int fd;          /* -1 = not open */
	uint16_t cipher; /* the suite's number once TLS stands, also when closed; 0 = none */
	bool is_secure : 1;
	bool resumed : 1; /* TLS, by an earlier session's; also when closed */
	bool connecting : 1;
	bool receiving : 1;
	bool awaiting_leave : 1;
	bool detects_death : 1;  /* conn_detect_death was called */
	bool has_early_data : 1; /* sent before its turn, still unread */
	bool streams : 1;        /* a chunk was full, when it was received from last */
	bool ended : 1;          /* `ended` or `failed` was told */
	bool broken : 1;         /* sending failed: what is sent from now on is dropped */
	bool shutdown : 1;       /* conn_shutdown was called */
};

/* Sets up a conn that is not open yet, in memory that is zero, or held a conn that was closed. */
void conn_init(struct conn *conn, struct io *io, const struct conn_events *events);

/* Takes over an accepted socket. */
void conn_open(struct conn *conn, int fd);

/* Begins to connect, from an address or, for ADDR_NONE, as the routes say; `connected` follows.
 * talks_first: the caller sends as soon as it does. Returns 0, or -1 with errno, as of
 * socket_connect, when it can't even begin. */
int conn_connect(
	struct conn *conn, const struct endpoint *to, const struct addr *from, bool talks_first);

/* From now on the other end's death is a failure (socket_detect_death). Accepted sockets need it
 * not, and who connects does if it lasts. */
void conn_detect_death(struct conn *conn);

bool conn_is_open(const struct conn *conn);

/* Nothing in the kernel names the conn any more, which has been closed. Becomes true by itself. */
bool conn_is_at_rest(const struct conn *conn);

/* Watches for the other end's leaving without taking a byte from it. Ended by conn_receive. */
void conn_await_leave(struct conn *conn);

/* The same question asked now; also of one that has sent early data and can't be watched. */
bool conn_has_left(const struct conn *conn);

/* Lets `received` come, or holds it back. */
void conn_receive(struct conn *conn);
void conn_pause(struct conn *conn);

/* Gives back what is left of a chunk, perhaps nothing, and takes it: these bytes were received
 * before their turn, and conn_receive lets them come again before any other. For a paused conn
 * without TLS. */
void conn_unread(struct conn *conn, struct chunk *chunk);

/* Sends the bytes in one write, before anything else is queued: 0, or -1 with errno when they do
 * not all go at once. */
int conn_send_whole(struct conn *conn, const void *bytes, size_t len);

/* Sends the chunk behind what is queued, and takes it. Returns true when all of it has gone to the
 * kernel; otherwise `sent` follows. Sending to an end that takes no more is no error: the bytes are
 * dropped, and the receiving side tells of the end. */
bool conn_send(struct conn *conn, struct chunk *chunk);

bool conn_is_flushed(const struct conn *conn);

/* What is queued has not been offered to the kernel yet, or not been answered: by the next timer it
 * is sent, or the other end does not take it. */
bool conn_is_offering(const struct conn *conn);

/* Sends FIN behind what is queued. */
void conn_shutdown(struct conn *conn);

/* Reads and drops what has come in so far, so that a close that follows is no reset. */
void conn_discard(struct conn *conn);

/* Closes now and drops what is queued. Nothing is told any more. A closed conn may be sent to, shut
 * down and closed again, all without effect. */
void conn_close(struct conn *conn);

/* The same with a reset. */
void conn_reset(struct conn *conn);

#endif

/*
 * A worker's ring of io_uring(7), and the operations that conns have in it. Operations are
 * prepared whenever they are wanted, submitted together before the loop sleeps, and what they came
 * to is told from there. An eventfd wakes the loop.
 *
 * Needs Linux 6.1: DEFER_TASKRUN, by which nothing is completed but when this thread asks.
 */
#ifndef LB_IO_URING_H
#define LB_IO_URING_H

#include "lb/io/conn.h"

#include <ev.h>
#include <liburing.h>
#include <netinet/in.h>
#include <stdbool.h>

enum {
	RING_ENTRIES = 256, /* of the submission queue */
	RING_CHUNKS = 64,   /* that the kernel receives into, */
	RING_LARGE = 8,     /* and large ones; powers of two */
};

/* Chunks that the kernel receives into, all of one size. */
struct ring_group {
	struct io_uring_buf_ring *buffers;
	struct chunk **chunks; /* in `buffers`, by number; NULL for want of memory */
	unsigned first, count; /* their numbers, which are the ring's */
	unsigned missing;      /* so many */
	struct chunk *(*get)(struct chunk_pool *pool);
};

/* What an operation was; with the conn, or the chunk, in one word of the kernel's. */
enum ring_tag {
	RING_NOTHING, /* nobody waits for it */
	RING_RECEIVE,
	RING_WATCH,
	RING_CONNECT,
	RING_SEND, /* of a chunk, not of a conn */
};

enum ring_group_number {
	RING_PLAIN,
	RING_STREAM,
	RING_GROUPS,
};

struct ring {
	struct io *io;
	struct io_uring uring;
	struct chunk *chunks[RING_CHUNKS + RING_LARGE];
	struct ring_group groups[RING_GROUPS];           /* of them */
	struct sockaddr_storage addresses[RING_ENTRIES]; /* to connect to, until submitted */
	int wake_fd;
	ev_io wake;
	ev_prepare turn;
	ev_idle again;               /* lets the loop only look, not sleep: the turn goes on */
	uint16_t round;              /* of submissions and their completions */
	struct conn *due, *due_last; /* to be looked at */
	/* Told by the ring: what has become of an operation. */
	void (*complete)(struct conn *conn, enum ring_tag tag, int result, struct chunk *chunk);
	void (*sent)(struct chunk *chunk, int result);
	void (*look)(struct conn *conn);
};

/* 0, or -1 with errno. */
int ring_init(struct io *io);
int ring_start(struct io *io);
void ring_fini(struct io *io);

/* A place for one operation, to be filled in by liburing's io_uring_prep_* and then by one of the
 * following. Never NULL. */
struct io_uring_sqe *ring_prepare(struct ring *ring);

/* Its completion is told, by `complete` or `sent`; the conn has it pending until then. */
void ring_expect(struct io_uring_sqe *sqe, struct conn *conn, enum ring_tag tag);
void ring_expect_sent(struct io_uring_sqe *sqe, struct chunk *chunk);

/* Its completion is told to nobody. */
void ring_ignore(struct io_uring_sqe *sqe);

/* Ends what is expected and still waits; its completion is told all the same. */
void ring_cancel(struct ring *ring, const struct conn *conn, enum ring_tag tag);
void ring_cancel_send(struct ring *ring, const struct chunk *chunk);

/* Hands over what was prepared, which happens before the loop sleeps anyway. */
void ring_submit(struct ring *ring);

/* Where an operation's address is kept until it was submitted. */
struct sockaddr_storage *ring_address(struct ring *ring, const struct io_uring_sqe *sqe);

/* The conn is looked at before the next submission. */
void ring_look_at(struct ring *ring, struct conn *conn);

#endif

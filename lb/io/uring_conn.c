/*
 * The completion engine: what a conn has in the worker's ring. One receive at a time into a chunk
 * that the kernel takes from the ring's, asked for only while the conn receives, so that a paused
 * one takes at most one chunk more; one send at a time, of the queue's first chunk, to which small
 * ones behind it are joined. Runs in its worker's thread.
 */
#include "lb/io/engine.h"
#include "lb/io/uring.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

static struct ring *
ring_of(const struct conn *conn)
{
	return conn->base.io->ring;
}

static void
begin_receive(struct conn *conn)
{
	struct io_uring_sqe *sqe = ring_prepare(ring_of(conn));
	io_uring_prep_recv(sqe, conn->fd, NULL, 0, 0);
	sqe->flags |= IOSQE_BUFFER_SELECT;
	sqe->buf_group = conn->streams ? RING_STREAM : RING_PLAIN;
	if (!conn->ring.has_more)
		sqe->ioprio |= IORING_RECVSEND_POLL_FIRST;
	ring_expect(sqe, conn, RING_RECEIVE);
	conn->ring.receives = true;
}

/* A FIN or a reset; bytes alone are no news. */
static void
begin_watch(struct conn *conn)
{
	struct io_uring_sqe *sqe = ring_prepare(ring_of(conn));
	io_uring_prep_poll_add(sqe, conn->fd, POLLRDHUP);
	ring_expect(sqe, conn, RING_WATCH);
	conn->ring.watches = true;
}

/* Joins to the first chunk what fits of those behind it. */
static void
join_queue(struct conn *conn)
{
	struct chunk *chunk = conn->queue;
	while (chunk->next) {
		struct chunk *next = chunk->next;
		struct chunk *behind = next->next;
		if (!chunk_join(chunk, next))
			return;
		chunk->next = behind;
	}
}

static void
begin_send(struct conn *conn)
{
	struct ring *ring = ring_of(conn);
	join_queue(conn);
	struct chunk *chunk = conn->queue;
	struct io_uring_sqe *sqe = ring_prepare(ring);
	io_uring_prep_send(sqe, conn->fd, chunk->data, chunk->len, MSG_NOSIGNAL | MSG_WAITALL);
	ring_expect_sent(sqe, chunk);
	chunk->sender = conn;
	conn->ring.sends = true;
	conn->ring.send_round = ring->round;
}

/* Tells what came while nothing should, or prepares what the conn waits for. */
static void
look(struct conn *conn)
{
	if (conn->queue && !conn->ring.sends)
		begin_send(conn);
	if (conn->awaiting_leave && !conn->ring.watches)
		begin_watch(conn);
	if (!conn->receiving || conn->ended || conn->connecting)
		return;
	if (conn_has_held(conn)) {
		ring_look_at(ring_of(conn), conn);
		conn_receive_again(conn);
	} else if (conn->ring.has_end) {
		conn_end_receiving(conn, conn->ring.end);
	} else if (!conn->ring.receives) {
		begin_receive(conn);
	}
}

static void
on_end(struct conn *conn, int error)
{
	conn->ring.has_end = true;
	conn->ring.end = error;
	if (conn->receiving)
		conn_end_receiving(conn, error);
}

/* Where there is no large one a plain one will do. */
static void
on_no_chunk(struct conn *conn)
{
	struct ring *ring = ring_of(conn);
	if (!conn->streams && ring->groups[RING_PLAIN].missing == RING_CHUNKS) {
		on_end(conn, ENOMEM);
		return;
	}
	conn->streams = false;
	ring_look_at(ring, conn);
}

static void
on_received(struct conn *conn, int result, struct chunk *chunk)
{
	conn->ring.receives = false;
	if (result > 0) {
		conn->streams = chunk->len >= CHUNK_SIZE;
		ring_look_at(ring_of(conn), conn);
		if (conn->receiving && !conn_has_held(conn))
			conn_take(conn, chunk);
		else
			conn_hold(conn, chunk);
		return;
	}
	chunk_put(chunk);
	if (result == -ENOBUFS)
		on_no_chunk(conn);
	else if (result == -EINTR || result == -EAGAIN || result == -ECANCELED)
		ring_look_at(ring_of(conn), conn);
	else
		on_end(conn, -result);
}

static void
on_complete(struct conn *conn, enum ring_tag tag, int result, struct chunk *chunk)
{
	switch (tag) {
	case RING_RECEIVE:
		on_received(conn, result, chunk);
		break;
	case RING_WATCH:
		conn->ring.watches = false;
		ring_look_at(ring_of(conn), conn);
		if (conn->awaiting_leave)
			conn_peek(conn);
		break;
	case RING_CONNECT:
		conn_finish_connect(conn, -result);
		break;
	case RING_NOTHING:
	case RING_SEND:
		assert(false);
	}
}

/* Not in the ring: there a thread of the kernel's would do it later, and look the descriptor up
 * only then, when it may be another connection's. */
static void
send_fin(struct conn *conn)
{
	shutdown(conn->fd, SHUT_WR);
}

/* The chunk's owner is told, unless it was closed meanwhile. */
static void
on_sent(struct chunk *chunk, int result)
{
	struct conn *conn = chunk->sender;
	if (!conn) {
		chunk_put(chunk);
		return;
	}
	conn->ring.sends = false;
	if (result > 0) {
		chunk->data += result;
		chunk->len -= (size_t)result;
	} else if (result != -EINTR && result != -EAGAIN) {
		conn_give_up_sending(conn);
		conn_tell_sent(conn);
		return;
	}
	if (chunk->len == 0) {
		conn->queue = chunk->next;
		chunk_put(chunk);
	}
	if (conn->queue) {
		ring_look_at(ring_of(conn), conn);
		return;
	}
	if (conn->shutdown)
		send_fin(conn);
	conn_tell_sent(conn);
}

static int
init(struct io *io)
{
	if (ring_init(io) < 0)
		return -1;
	io->ring->complete = on_complete;
	io->ring->sent = on_sent;
	io->ring->look = look;
	return 0;
}

static int
begin_connect(struct conn *conn, const struct endpoint *to)
{
	struct io_uring_sqe *sqe = ring_prepare(ring_of(conn));
	struct sockaddr_storage *sa = ring_address(ring_of(conn), sqe);
	socklen_t len = endpoint_to_sockaddr(to, sa);
	io_uring_prep_connect(sqe, conn->fd, (struct sockaddr *)sa, len);
	ring_expect(sqe, conn, RING_CONNECT);
	return 0;
}

static void
watch(struct conn *conn)
{
	ring_look_at(ring_of(conn), conn);
}

/* Whether the kernel takes it turns out with the ring's next turn. */
static bool
send_queue(struct conn *conn)
{
	ring_look_at(ring_of(conn), conn);
	return false;
}

static void
push(struct conn *conn)
{
	if (!conn->queue || conn->ring.sends || conn->connecting)
		return;
	begin_send(conn);
	ring_submit(ring_of(conn));
}

/* What waits to receive is woken by the socket: to cancel it the kernel would look it up among all
 * that waits in the ring. */
static void
end_operations(struct conn *conn)
{
	struct ring *ring = ring_of(conn);
	if (conn->ring.sends)
		ring_cancel_send(ring, conn->queue);
	if (conn->ring.receives || conn->ring.watches)
		shutdown(conn->fd, SHUT_RD);
	if (conn->connecting)
		ring_cancel(ring, conn, RING_CONNECT);
}

/* In this order: a send that was not yet submitted goes as far as the kernel takes it at once, what
 * still waits is ended, and then nothing holds the connection open. A chunk that is on its way
 * stays until the kernel has done with it. */
static void
close_now(struct conn *conn)
{
	struct chunk *chunk = conn->queue;
	if (chunk && !conn->ring.sends && !conn->connecting)
		begin_send(conn);
	end_operations(conn);
	struct io_uring_sqe *sqe = ring_prepare(ring_of(conn));
	io_uring_prep_close(sqe, conn->fd);
	ring_ignore(sqe);
	if (chunk && conn->ring.sends) {
		conn->queue = chunk->next;
		chunk->sender = NULL;
	}
	conn->ring.generation++;
	conn->ring.receives = conn->ring.watches = conn->ring.sends = false;
}

static bool
is_offering(const struct conn *conn)
{
	return !conn->ring.sends || conn->ring.send_round == ring_of(conn)->round;
}

static void
settle(struct io *io)
{
	ring_submit(io->ring);
}

static bool
is_at_rest(const struct conn *conn)
{
	return conn->ring.pending == 0 && !conn->ring.due;
}

const struct engine engine_uring = {
	.name = "io_uring",
	.init = init,
	.start = ring_start,
	.fini = ring_fini,
	.connect = begin_connect,
	.watch = watch,
	.send = send_queue,
	.push = push,
	.is_offering = is_offering,
	.shutdown = send_fin,
	.close = close_now,
	.is_at_rest = is_at_rest,
	.settle = settle,
};

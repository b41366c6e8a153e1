/*
 * The readiness engine: a conn on one libev watcher. A chunk to send goes to the kernel at once and
 * only what the kernel does not take is queued; one receive a readiness, more only while whole
 * chunks come. Runs in its worker's thread.
 */
#include "lb/io/conn.h"
#include "lb/io/engine.h"
#include "lb/io/socket.h"

#include <assert.h>
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	RECEIVED_IN_A_ROW = CHUNK_LARGE, /* bytes; then the other sessions have their turn */
};

static void on_ready(struct ev_loop *loop, ev_io *watcher, int ready);

/* There is nothing to set up, nor to take down. */

static int
init(struct io *io)
{
	(void)io;
	return 0;
}

static void
fini(struct io *io)
{
	(void)io;
}

static bool
is_at_rest(const struct conn *conn)
{
	(void)conn;
	return true;
}

static void
settle(struct io *io)
{
	(void)io;
}

/* Brings the watcher in line with what the conn waits for. */
static void
set_watcher(struct conn *conn)
{
	int wanted = 0;
	if ((conn->receiving && !conn->ended) || conn->awaiting_leave)
		wanted |= EV_READ;
	if (conn->connecting || conn->queue)
		wanted |= EV_WRITE;
	int current =
		ev_is_active(&conn->watcher) ? conn->watcher.events & (EV_READ | EV_WRITE) : 0;
	if (wanted == current)
		return;
	ev_io_stop(conn->base.io->loop, &conn->watcher);
	if (!wanted)
		return;
	if (!conn->watcher.cb)
		ev_init(&conn->watcher, on_ready);
	ev_io_set(&conn->watcher, conn->fd, wanted);
	ev_io_start(conn->base.io->loop, &conn->watcher);
}

static void
watch(struct conn *conn)
{
	set_watcher(conn);
	if (conn->receiving && conn_has_held(conn))
		ev_feed_event(conn->base.io->loop, &conn->watcher, EV_READ);
}

static int
begin_connect(struct conn *conn, const struct endpoint *to)
{
	if (socket_begin_connect(conn->fd, to) < 0)
		return -1;
	set_watcher(conn);
	return 0;
}

/* Sends from the queue what the kernel takes. */
static void
flush(struct conn *conn)
{
	while (conn->queue) {
		struct chunk *chunk = conn->queue;
		ssize_t n = send(conn->fd, chunk->data, chunk->len, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return;
		if (n < 0) {
			conn_give_up_sending(conn);
			return;
		}
		chunk->data += n;
		chunk->len -= (size_t)n;
		if (chunk->len > 0)
			continue;
		conn->queue = chunk->next;
		chunk_put(chunk);
	}
}

/* What is queued already waits for the watcher. */
static bool
send_queue(struct conn *conn)
{
	if (!conn->queue->next) {
		flush(conn);
		set_watcher(conn);
	}
	return !conn->queue;
}

/* The kernel was offered all of it already. */
static void
push(struct conn *conn)
{
	(void)conn;
}

static bool
is_offering(const struct conn *conn)
{
	(void)conn;
	return false;
}

static void
send_fin(struct conn *conn)
{
	shutdown(conn->fd, SHUT_WR);
}

static void
close_now(struct conn *conn)
{
	if (conn->watcher.cb)
		ev_io_stop(conn->base.io->loop, &conn->watcher);
	close(conn->fd);
}

static void
finish_send(struct conn *conn)
{
	flush(conn);
	set_watcher(conn);
	if (conn->queue)
		return;
	if (conn->shutdown)
		shutdown(conn->fd, SHUT_WR);
	conn_tell_sent(conn);
}

static void
receive(struct conn *conn)
{
	for (size_t total = 0; total < RECEIVED_IN_A_ROW;) {
		struct chunk *chunk = conn->streams ? chunk_get_large(&conn->base.io->chunks)
						    : chunk_get(&conn->base.io->chunks);
		if (!chunk) {
			conn_end_receiving(conn, ENOMEM);
			return;
		}
		size_t size = chunk->size;
		ssize_t n = recv(conn->fd, chunk->bytes, size, MSG_DONTWAIT);
		if (n > 0) {
			chunk->len = (size_t)n;
			total += chunk->len;
			conn->streams = chunk->len >= CHUNK_SIZE;
			conn_take(conn, chunk);
			if ((size_t)n < size || conn->fd < 0 || !conn->receiving)
				return;
			continue;
		}
		int error = n < 0 ? errno : 0;
		chunk_put(chunk);
		if (error != EAGAIN && error != EINTR)
			conn_end_receiving(conn, error);
		return;
	}
}

/* The loop can't watch it, for want of memory (epoll_ctl(2)), and has stopped to. Nobody's leave is
 * awaited then, as with early data; all else ends. */
static void
lose_watch(struct conn *conn)
{
	if (conn->connecting) {
		conn->connecting = false;
		conn->events->connected(conn, ENOMEM);
	} else if (conn->awaiting_leave) {
		conn->awaiting_leave = false;
		conn->has_early_data = true;
	} else {
		bool ended = conn->ended;
		conn_give_up_sending(conn);
		if (ended)
			conn_tell_sent(conn);
		else
			conn_end_receiving(conn, ENOMEM);
	}
}

static void
on_ready(struct ev_loop *loop, ev_io *watcher, int ready)
{
	(void)loop;
	struct conn *conn = (struct conn *)((char *)watcher - offsetof(struct conn, watcher));
	if (ready & EV_ERROR) {
		lose_watch(conn);
		return;
	}
	if (conn->connecting) {
		conn_finish_connect(conn, 0);
		return;
	}
	if (ready & EV_WRITE)
		finish_send(conn);
	if (!(ready & EV_READ) || conn->fd < 0)
		return;
	if (conn->awaiting_leave)
		conn_peek(conn);
	else if (conn->receiving && conn_has_held(conn))
		conn_receive_again(conn);
	else if (conn->receiving)
		receive(conn);
}

const struct engine engine_libev = {
	.name = "libev",
	.init = init,
	.start = init,
	.fini = fini,
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

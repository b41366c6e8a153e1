/*
 * The readiness engine: a conn on one libev watcher. A chunk to send goes to the kernel at once and
 * only what the kernel does not take is queued; one receive a readiness, more only while whole
 * chunks come. Runs in its worker's thread.
 */
#include "lb/io/conn.h"
#include "lb/io/socket.h"

#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	RECEIVES_IN_A_ROW = 4, /* then the other sessions have their turn */
	DISCARD_MAX = 1 << 20, /* bytes */
};

static void on_ready(struct ev_loop *loop, ev_io *watcher, int ready);

void
io_init(struct io *io, struct ev_loop *loop)
{
	io->loop = loop;
	chunk_pool_init(&io->chunks);
	waker_init(&io->waker, loop);
}

void
io_fini(struct io *io)
{
	waker_fini(&io->waker);
	chunk_pool_fini(&io->chunks);
}

void
conn_init(struct conn *conn, struct io *io, const struct conn_events *events)
{
	*conn = (struct conn){.events = events, .io = io, .fd = -1};
	ev_init(&conn->watcher, on_ready);
	conn->watcher.data = conn;
}

/* Brings the watcher in line with what the conn waits for. */
static void
watch(struct conn *conn)
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
	ev_io_stop(conn->io->loop, &conn->watcher);
	if (!wanted)
		return;
	ev_io_set(&conn->watcher, conn->fd, wanted);
	ev_io_start(conn->io->loop, &conn->watcher);
}

void
conn_open(struct conn *conn, int fd)
{
	assert(conn->fd < 0);
	conn->fd = fd;
}

int
conn_connect(struct conn *conn, const struct endpoint *to, const struct addr *from)
{
	assert(conn->fd < 0);
	int fd = socket_connect(to, from);
	if (fd < 0)
		return -1;
	conn->fd = fd;
	conn->connecting = true;
	watch(conn);
	return 0;
}

bool
conn_is_open(const struct conn *conn)
{
	return conn->fd >= 0;
}

void
conn_await_leave(struct conn *conn)
{
	conn->awaiting_leave = !conn->has_early_data;
	watch(conn);
}

bool
conn_has_left(const struct conn *conn)
{
	char byte;
	if (!conn->has_early_data) {
		ssize_t n = recv(conn->fd, &byte, 1, MSG_PEEK);
		return n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR);
	}
	struct tcp_info info;
	socklen_t len = sizeof(info);
	return getsockopt(conn->fd, IPPROTO_TCP, TCP_INFO, &info, &len) < 0 ||
	       info.tcpi_state == TCP_CLOSE;
}

void
conn_receive(struct conn *conn)
{
	conn->awaiting_leave = false;
	conn->receiving = true;
	watch(conn);
	if (conn->unread)
		ev_feed_event(conn->io->loop, &conn->watcher, EV_READ);
}

void
conn_pause(struct conn *conn)
{
	conn->receiving = false;
	watch(conn);
}

void
conn_unread(struct conn *conn, struct chunk *chunk)
{
	assert(!conn->receiving && !conn->unread);
	if (chunk->len == 0) {
		chunk_put(chunk);
		return;
	}
	conn->unread = chunk;
	conn->has_early_data = true;
}

int
conn_send_whole(struct conn *conn, const void *bytes, size_t len)
{
	assert(!conn->queue);
	ssize_t n = send(conn->fd, bytes, len, MSG_NOSIGNAL);
	if (n == (ssize_t)len)
		return 0;
	if (n >= 0)
		errno = ENOBUFS;
	return -1;
}

static void
drop_queue(struct conn *conn)
{
	while (conn->queue) {
		struct chunk *chunk = conn->queue;
		conn->queue = chunk->next;
		chunk_put(chunk);
	}
	conn->queue_last = NULL;
}

/* The receiving side tells the end after this, behind what was received already. */
static void
give_up_sending(struct conn *conn)
{
	conn->broken = true;
	drop_queue(conn);
	shutdown(conn->fd, SHUT_RDWR);
}

/* Sends from the queue what the kernel takes. */
static void
flush(struct conn *conn)
{
	while (conn->queue) {
		struct chunk *chunk = conn->queue;
		ssize_t n = send(conn->fd, chunk->data, chunk->len, MSG_NOSIGNAL);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return;
		if (n < 0) {
			give_up_sending(conn);
			return;
		}
		chunk->data += n;
		chunk->len -= (size_t)n;
		if (chunk->len > 0)
			continue;
		conn->queue = chunk->next;
		chunk_put(chunk);
	}
	conn->queue_last = NULL;
}

bool
conn_send(struct conn *conn, struct chunk *chunk)
{
	if (conn->broken || conn->fd < 0) {
		chunk_put(chunk);
		return true;
	}
	assert(!conn->shutdown);
	chunk->next = NULL;
	if (conn->queue) {
		conn->queue_last->next = chunk;
		conn->queue_last = chunk;
		return false;
	}
	conn->queue = conn->queue_last = chunk;
	flush(conn);
	watch(conn);
	return !conn->queue;
}

bool
conn_is_flushed(const struct conn *conn)
{
	return !conn->queue;
}

void
conn_shutdown(struct conn *conn)
{
	if (conn->shutdown || conn->fd < 0)
		return;
	conn->shutdown = true;
	if (!conn->queue)
		shutdown(conn->fd, SHUT_WR);
}

void
conn_discard(struct conn *conn)
{
	if (conn->fd >= 0)
		recv(conn->fd, NULL, DISCARD_MAX, MSG_TRUNC);
}

void
conn_close(struct conn *conn)
{
	if (conn->fd < 0)
		return;
	ev_io_stop(conn->io->loop, &conn->watcher);
	close(conn->fd);
	conn->fd = -1;
	drop_queue(conn);
	chunk_put(conn->unread);
	conn->unread = NULL;
}

void
conn_reset(struct conn *conn)
{
	struct linger now = {.l_onoff = 1, .l_linger = 0};
	if (conn->fd >= 0)
		setsockopt(conn->fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	conn_close(conn);
}

static void
finish_connect(struct conn *conn)
{
	int error = 0;
	socklen_t len = sizeof(error);
	if (getsockopt(conn->fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0)
		error = errno;
	conn->connecting = false;
	watch(conn);
	conn->events->connected(conn, error);
}

static void
finish_send(struct conn *conn)
{
	flush(conn);
	watch(conn);
	if (conn->queue)
		return;
	if (conn->shutdown)
		shutdown(conn->fd, SHUT_WR);
	conn->events->sent(conn);
}

/* Looks at what one did that should only wait, and takes nothing. With data in the way its FIN
 * can't be seen, and a level-triggered watcher would spin: conn_has_left asks then. */
static void
peek(struct conn *conn)
{
	char byte;
	ssize_t n = recv(conn->fd, &byte, 1, MSG_PEEK);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	conn->awaiting_leave = false;
	watch(conn);
	if (n > 0)
		conn->has_early_data = true;
	else
		conn->events->left(conn);
}

static void
end_receiving(struct conn *conn, int error)
{
	conn->ended = true;
	watch(conn);
	if (error)
		conn->events->failed(conn, error);
	else
		conn->events->ended(conn);
}

static void
receive_again(struct conn *conn)
{
	struct chunk *chunk = conn->unread;
	conn->unread = NULL;
	conn->events->received(conn, chunk);
}

static void
receive(struct conn *conn)
{
	for (int i = 0; i < RECEIVES_IN_A_ROW; i++) {
		struct chunk *chunk = chunk_get(&conn->io->chunks);
		if (!chunk) {
			end_receiving(conn, ENOMEM);
			return;
		}
		ssize_t n = recv(conn->fd, chunk->bytes, CHUNK_SIZE, 0);
		if (n > 0) {
			chunk->len = (size_t)n;
			conn->events->received(conn, chunk);
			if (n < CHUNK_SIZE || conn->fd < 0 || !conn->receiving)
				return;
			continue;
		}
		int error = n < 0 ? errno : 0;
		chunk_put(chunk);
		if (error != EAGAIN && error != EINTR)
			end_receiving(conn, error);
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
		give_up_sending(conn);
		if (ended)
			conn->events->sent(conn);
		else
			end_receiving(conn, ENOMEM);
	}
}

static void
on_ready(struct ev_loop *loop, ev_io *watcher, int ready)
{
	(void)loop;
	struct conn *conn = watcher->data;
	if (ready & EV_ERROR) {
		lose_watch(conn);
		return;
	}
	if (conn->connecting) {
		finish_connect(conn);
		return;
	}
	if (ready & EV_WRITE)
		finish_send(conn);
	if (!(ready & EV_READ) || conn->fd < 0)
		return;
	if (conn->awaiting_leave)
		peek(conn);
	else if (conn->receiving && conn->unread)
		receive_again(conn);
	else if (conn->receiving)
		receive(conn);
}

/*
 * What is alike in a conn whatever engine moves its bytes. Runs in its worker's thread.
 */
#include "lb/io/conn.h"

#include "lb/io/engine.h"
#include "lb/io/socket.h"
#include "lb/io/tls.h"

#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	DISCARD_MAX = 1 << 20, /* bytes */
};

int
io_init(struct io *io, struct ev_loop *loop, const struct engine *engine)
{
	*io = (struct io){.engine = engine, .loop = loop};
	chunk_pool_init(&io->chunks);
	if (engine->init(io) < 0)
		return -1;
	waker_init(&io->waker, loop);
	return 0;
}

int
io_start(struct io *io)
{
	return io->engine->start(io);
}

void
io_fini(struct io *io)
{
	waker_fini(&io->waker);
	io->engine->fini(io);
	chunk_pool_fini(&io->chunks);
}

void
io_settle(struct io *io)
{
	io->engine->settle(io);
}

void
conn_init(struct conn *conn, struct io *io, const struct conn_events *events)
{
	struct ring_side ring = {
		.generation = conn->ring.generation, .pending = conn->ring.pending, .io = io};
	*conn = (struct conn){.events = events, .base = {.io = io}, .fd = -1};
	if (io->engine == &engine_uring)
		conn->ring = ring;
}

void
conn_open(struct conn *conn, int fd)
{
	assert(conn->fd < 0);
	conn->fd = fd;
}

int
conn_connect(
	struct conn *conn, const struct endpoint *to, const struct addr *from, bool talks_first)
{
	assert(conn->fd < 0);
	int fd = socket_new_from(to, from);
	if (fd < 0)
		return -1;
	if (talks_first)
		socket_delay_ack(fd);
	conn->fd = fd;
	conn->connecting = true;
	if (conn->base.io->engine->connect(conn, to) == 0)
		return 0;
	int error = errno;
	close(fd);
	conn->fd = -1;
	conn->connecting = false;
	errno = error;
	return -1;
}

/* The socket is asked in any case: where an ICMP message refused it io_uring tells of success. */
void
conn_finish_connect(struct conn *conn, int error)
{
	socklen_t len = sizeof(error);
	if (!error && getsockopt(conn->fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0)
		error = errno;
	conn->connecting = false;
	conn->base.io->engine->watch(conn);
	conn->events->connected(conn, error);
}

void
conn_detect_death(struct conn *conn)
{
	if (conn->fd >= 0 && !conn->detects_death)
		conn->detects_death = socket_detect_death(conn->fd) == 0;
}

bool
conn_is_open(const struct conn *conn)
{
	return conn->fd >= 0;
}

bool
conn_is_at_rest(const struct conn *conn)
{
	return conn->base.io->engine->is_at_rest(conn);
}

void
conn_await_leave(struct conn *conn)
{
	conn->awaiting_leave = !conn->has_early_data;
	conn->base.io->engine->watch(conn);
}

bool
conn_has_left(const struct conn *conn)
{
	char byte;
	ssize_t n = recv(conn->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
	if (n <= 0 && !conn->has_early_data)
		return n == 0 || (errno != EAGAIN && errno != EINTR);
	struct tcp_info info;
	socklen_t len = sizeof(info);
	return getsockopt(conn->fd, IPPROTO_TCP, TCP_INFO, &info, &len) < 0 ||
	       info.tcpi_state == TCP_CLOSE;
}

/* With data in the way a FIN can't be seen, and whoever waits for readiness would spin:
 * conn_has_left asks then. */
void
conn_peek(struct conn *conn)
{
	char byte;
	ssize_t n = recv(conn->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	conn->awaiting_leave = false;
	conn->base.io->engine->watch(conn);
	if (n > 0)
		conn->has_early_data = true;
	else
		conn->events->left(conn);
}

void
conn_receive(struct conn *conn)
{
	conn->awaiting_leave = false;
	conn->receiving = true;
	conn->base.io->engine->watch(conn);
}

void
conn_pause(struct conn *conn)
{
	conn->receiving = false;
	conn->base.io->engine->watch(conn);
}

void
conn_unread(struct conn *conn, struct chunk *chunk)
{
	assert(!conn->receiving && !conn->is_secure && !conn->unread);
	if (chunk->len == 0) {
		chunk_put(chunk);
		return;
	}
	conn->unread = chunk;
	conn->has_early_data = true;
}

void
conn_take(struct conn *conn, struct chunk *chunk)
{
	if (conn->is_secure)
		tls_take(conn, chunk);
	else
		conn->events->received(conn, chunk);
}

void
conn_hold(struct conn *conn, struct chunk *chunk)
{
	if (conn->is_secure)
		tls_hold(conn, chunk);
	else
		conn->unread = chunk;
}

bool
conn_has_held(const struct conn *conn)
{
	return conn->is_secure ? tls_has_held(conn) : conn->unread != NULL;
}

void
conn_receive_again(struct conn *conn)
{
	if (conn->is_secure) {
		tls_go_on(conn);
		return;
	}
	struct chunk *chunk = conn->unread;
	conn->unread = NULL;
	conn->events->received(conn, chunk);
}

void
conn_end_receiving(struct conn *conn, int error)
{
	conn->ended = true;
	conn->base.io->engine->watch(conn);
	if (error)
		conn->events->failed(conn, error);
	else
		conn->events->ended(conn);
}

void
conn_tell_sent(struct conn *conn)
{
	if (conn->events->sent)
		conn->events->sent(conn);
}

int
conn_send_whole(struct conn *conn, const void *bytes, size_t len)
{
	if (conn->is_secure)
		return tls_send_bytes(conn, bytes, len);
	assert(!conn->queue);
	ssize_t n = send(conn->fd, bytes, len, MSG_NOSIGNAL | MSG_DONTWAIT);
	if (n == (ssize_t)len)
		return 0;
	if (n >= 0)
		errno = ENOBUFS;
	return -1;
}

void
conn_drop_queue(struct conn *conn)
{
	chunk_put_all(conn->queue);
	conn->queue = NULL;
}

void
conn_give_up_sending(struct conn *conn)
{
	conn->broken = true;
	conn_drop_queue(conn);
	shutdown(conn->fd, SHUT_RDWR);
}

bool
conn_send(struct conn *conn, struct chunk *chunk)
{
	if (conn->is_secure && !conn->broken)
		return tls_send(conn, chunk);
	return conn_queue(conn, chunk);
}

bool
conn_queue(struct conn *conn, struct chunk *chunk)
{
	if (conn->broken || conn->fd < 0) {
		chunk_put(chunk);
		return true;
	}
	assert(!conn->shutdown);
	struct chunk **end = &conn->queue;
	while (*end)
		end = &(*end)->next;
	*end = chunk;
	chunk->next = NULL;
	return conn->base.io->engine->send(conn);
}

bool
conn_is_flushed(const struct conn *conn)
{
	return !conn->queue;
}

bool
conn_is_offering(const struct conn *conn)
{
	return conn->queue && conn->base.io->engine->is_offering(conn);
}

void
conn_shutdown(struct conn *conn)
{
	if (conn->shutdown || conn->fd < 0)
		return;
	if (conn->is_secure)
		tls_end_sending(conn);
	conn->shutdown = true;
	if (!conn->queue)
		conn->base.io->engine->shutdown(conn);
}

void
conn_discard(struct conn *conn)
{
	if (conn->fd < 0)
		return;
	conn->base.io->engine->push(conn);
	if (!conn->is_secure) {
		chunk_put(conn->unread);
		conn->unread = NULL;
	}
	recv(conn->fd, NULL, DISCARD_MAX, MSG_TRUNC | MSG_DONTWAIT);
}

void
conn_close(struct conn *conn)
{
	if (conn->fd < 0)
		return;
	if (conn->is_secure && !conn->shutdown)
		tls_end_sending(conn);
	conn->base.io->engine->close(conn);
	conn->fd = -1;
	conn_drop_queue(conn);
	if (conn->is_secure)
		tls_free(conn);
	chunk_put(conn->unread);
	conn->unread = NULL;
}

void
conn_reset(struct conn *conn)
{
	struct linger now = {.l_onoff = 1, .l_linger = 0};
	if (conn->fd >= 0)
		setsockopt(conn->fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	conn->broken = true; /* a farewell would be none */
	conn_close(conn);
}

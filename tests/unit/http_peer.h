/*
 * A scripted HTTP or SMTP server for the tests of health checking: listens on loopback, in the
 * test's own libev loop, and answers each connection by one script. What it saw can be asked
 * afterwards.
 */
#ifndef TESTS_UNIT_HTTP_PEER_H
#define TESTS_UNIT_HTTP_PEER_H

#include "acl/addr.h"

#include <check.h>
#include <errno.h>
#include <ev.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum peer_end {
	PEER_CLOSE, /* send FIN, then await the other side's */
	PEER_RESET,
	PEER_HOLD, /* stay open and silent */
};

struct peer_script {
	const char *bytes;
	size_t len;   /* 0: strlen(bytes) */
	bool deaf;    /* play without awaiting a request, as SMTP does */
	bool drip;    /* a byte a millisecond */
	bool endless; /* over and over again */
	enum peer_end end;
};

struct peer {
	struct ev_loop *loop;
	struct ev_io accept;
	struct endpoint endpoint;
	struct peer_script script; /* of the next connection */
	unsigned accepted;
	unsigned open;
	unsigned closed; /* connections that the other side ended with FIN */
	unsigned reset;  /* ... with RST */
	unsigned hosts;  /* bit N: a connection to 127.0.0.N came */
	char request[1024];
	char said[256]; /* what came at deaf scripts, of all connections together */
	size_t said_len;
	size_t early; /* how much of it before the last piece of the script was sent */
};

struct peer_conn {
	struct peer *peer;
	struct peer_script script;
	struct ev_io io;
	struct ev_timer drip;
	size_t sent;
	char request[1024];
	size_t len;
};

static inline void
peer_conn_free(struct peer_conn *conn)
{
	ev_io_stop(conn->peer->loop, &conn->io);
	ev_timer_stop(conn->peer->loop, &conn->drip);
	close(conn->io.fd);
	conn->peer->open--;
	free(conn);
}

static inline void
peer_conn_lost(struct peer_conn *conn, bool reset)
{
	if (reset)
		conn->peer->reset++;
	else
		conn->peer->closed++;
	peer_conn_free(conn);
}

static inline void
peer_watch(struct peer_conn *conn, int events)
{
	ev_io_stop(conn->peer->loop, &conn->io);
	ev_io_set(&conn->io, conn->io.fd, events);
	ev_io_start(conn->peer->loop, &conn->io);
}

static inline void
peer_end(struct peer_conn *conn)
{
	struct linger hard = {.l_onoff = 1};
	ev_timer_stop(conn->peer->loop, &conn->drip);
	switch (conn->script.end) {
	case PEER_RESET:
		setsockopt(conn->io.fd, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
		peer_conn_free(conn);
		return;
	case PEER_CLOSE:
		shutdown(conn->io.fd, SHUT_WR);
		break;
	case PEER_HOLD:
		break;
	}
	peer_watch(conn, EV_READ);
}

/* What the other side said at a script that awaits nothing. Returns recv's result. */
static inline ssize_t
peer_hear(struct peer_conn *conn)
{
	struct peer *peer = conn->peer;
	char heard[1024];
	ssize_t len = recv(conn->io.fd, heard, sizeof(heard), 0);
	size_t room = sizeof(peer->said) - peer->said_len;
	if (len > 0 && conn->script.deaf) {
		size_t kept = (size_t)len < room ? (size_t)len : room;
		memcpy(peer->said + peer->said_len, heard, kept);
		peer->said_len += kept;
	}
	return len;
}

/* Sends at most max bytes of the script. Returns false when the connection is gone. */
static inline bool
peer_play(struct peer_conn *conn, size_t max)
{
	size_t left = conn->script.len - conn->sent;
	ssize_t sent = 0;
	if (conn->script.deaf && left > 0) {
		peer_hear(conn);
		conn->peer->early = conn->peer->said_len;
	}
	if (left > 0)
		sent = send(conn->io.fd, conn->script.bytes + conn->sent, left < max ? left : max,
			MSG_NOSIGNAL);
	if (sent < 0 && errno != EAGAIN) {
		peer_conn_lost(conn, true);
		return false;
	}
	conn->sent += sent > 0 ? (size_t)sent : 0;
	if (conn->sent == conn->script.len && conn->script.endless)
		conn->sent = 0;
	if (conn->sent < conn->script.len)
		return true;
	peer_end(conn);
	return false;
}

static inline void
peer_on_drip(struct ev_loop *loop, struct ev_timer *timer, int events)
{
	(void)loop;
	(void)events;
	peer_play(timer->data, 1);
}

static inline void
peer_start(struct peer_conn *conn)
{
	if (conn->script.drip) {
		ev_timer_init(&conn->drip, peer_on_drip, 0, 0.001);
		conn->drip.data = conn;
		ev_timer_start(conn->peer->loop, &conn->drip);
		peer_watch(conn, EV_READ);
	} else if (peer_play(conn, SIZE_MAX)) {
		peer_watch(conn, EV_READ | EV_WRITE);
	}
}

static inline void
peer_on_read(struct peer_conn *conn)
{
	bool asking = !conn->script.deaf && conn->sent == 0 && !ev_is_active(&conn->drip) &&
		      strstr(conn->request, "\r\n\r\n") == NULL;
	ssize_t len;
	if (!asking) {
		len = peer_hear(conn);
		if (len == 0 || (len < 0 && errno != EAGAIN))
			peer_conn_lost(conn, len < 0);
		return;
	}
	len = recv(
		conn->io.fd, conn->request + conn->len, sizeof(conn->request) - 1 - conn->len, 0);
	if (len <= 0) {
		peer_conn_lost(conn, len < 0);
		return;
	}
	conn->len += (size_t)len;
	if (strstr(conn->request, "\r\n\r\n") == NULL)
		return;
	memcpy(conn->peer->request, conn->request, sizeof(conn->request));
	peer_start(conn);
}

static inline void
peer_on_io(struct ev_loop *loop, struct ev_io *io, int events)
{
	(void)loop;
	if (events & EV_READ)
		peer_on_read(io->data);
	else
		peer_play(io->data, SIZE_MAX);
}

static inline void
peer_on_accept(struct ev_loop *loop, struct ev_io *io, int events)
{
	struct peer *peer = io->data;
	struct peer_conn *conn;
	struct sockaddr_storage storage;
	struct endpoint local;
	socklen_t len = sizeof(storage);
	int fd = accept4(io->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	(void)loop;
	(void)events;
	if (fd < 0)
		return;
	getsockname(fd, (struct sockaddr *)&storage, &len);
	endpoint_from_sockaddr(&local, (struct sockaddr *)&storage);
	peer->hosts |= 1u << local.addr.bytes[3] % 32;
	conn = calloc(1, sizeof(*conn));
	conn->peer = peer;
	conn->script = peer->script;
	if (conn->script.len == 0)
		conn->script.len = strlen(conn->script.bytes);
	ev_io_init(&conn->io, peer_on_io, fd, EV_READ);
	conn->io.data = conn;
	peer->accepted++;
	peer->open++;
	if (conn->script.deaf)
		peer_start(conn);
	else
		ev_io_start(peer->loop, &conn->io);
}

/* host: a literal; 0.0.0.0 serves all of 127.0.0.0/8. */
static inline void
peer_init(struct peer *peer, struct ev_loop *loop, const char *host)
{
	struct sockaddr_storage storage;
	struct endpoint endpoint = {.port = 0};
	socklen_t len;
	int fd;
	*peer = (struct peer){.loop = loop};
	ck_assert_int_eq(addr_parse(&endpoint.addr, host), 0);
	len = endpoint_to_sockaddr(&endpoint, &storage);
	fd = socket(storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&storage, len), 0);
	ck_assert_int_eq(listen(fd, 128), 0);
	getsockname(fd, (struct sockaddr *)&storage, &len);
	endpoint_from_sockaddr(&peer->endpoint, (struct sockaddr *)&storage);
	ev_io_init(&peer->accept, peer_on_accept, fd, EV_READ);
	peer->accept.data = peer;
	ev_io_start(loop, &peer->accept);
}

static inline void
peer_fini(struct peer *peer)
{
	ev_io_stop(peer->loop, &peer->accept);
	close(peer->accept.fd);
}

#endif

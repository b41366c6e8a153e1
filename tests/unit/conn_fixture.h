/*
 * A conn on a TCP connection of small buffers whose other end is the test's, and what was told of
 * it, under either engine.
 */
#ifndef TESTS_UNIT_CONN_FIXTURE_H
#define TESTS_UNIT_CONN_FIXTURE_H

#include "lb/io/conn.h"

#include <arpa/inet.h>
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	BUFFER = 4608, /* of each socket: the kernel's least */
	GIVE_UP_S = 20,
	LOG_MAX = 4096,
};

/* A conn, the other end of its connection, and what was told of it. */
static struct {
	struct ev_loop *loop;
	struct io io;
	struct conn conn;
	int other;
	char told[LOG_MAX]; /* events, a letter each: C connected, R received, E ended, F failed, S
			       sent, L left */
	size_t told_len;
	int error;
	uint8_t got[1 << 20];        /* what was received */
	size_t got_len, got_longest; /* all of it, and the longest chunk */
	bool close_on_event;
	bool in_call; /* of a conn_* function */
	bool waits;   /* for `sent` */
} fix;

/* Outlives fix: a TCase's fixture chooses it. */
static const struct engine *engine_in_use = &engine_libev;

static inline void
use_libev(void)
{
	engine_in_use = &engine_libev;
}

static inline void
use_uring(void)
{
	engine_in_use = &engine_uring;
}

/* Whether this kernel has what it needs. */
static inline bool
has_uring(void)
{
	struct io io;
	struct ev_loop *loop = ev_loop_new(EVFLAG_AUTO);
	bool has = io_init(&io, loop, &engine_uring) == 0;
	if (has)
		io_fini(&io);
	ev_loop_destroy(loop);
	return has;
}

static inline void
tell(char event)
{
	ck_assert(!fix.in_call);
	ck_assert(fix.told_len + 1 < LOG_MAX);
	/* Many chunks are one R. */
	if (event != 'R' || fix.told_len == 0 || fix.told[fix.told_len - 1] != 'R')
		fix.told[fix.told_len++] = event;
	fix.told[fix.told_len] = '\0';
	if (fix.close_on_event)
		conn_close(&fix.conn);
	ev_break(fix.loop, EVBREAK_ONE);
}

static inline void
on_connected(struct conn *conn, int error)
{
	ck_assert_ptr_eq(conn, &fix.conn);
	fix.error = error;
	tell('C');
}

static inline void
on_received(struct conn *conn, struct chunk *chunk)
{
	ck_assert_ptr_eq(conn, &fix.conn);
	ck_assert_uint_gt(chunk->len, 0);
	ck_assert_uint_le(fix.got_len + chunk->len, sizeof(fix.got));
	memcpy(fix.got + fix.got_len, chunk->data, chunk->len);
	fix.got_len += chunk->len;
	if (chunk->len > fix.got_longest)
		fix.got_longest = chunk->len;
	chunk_put(chunk);
	tell('R');
}

static inline void
on_ended(struct conn *conn)
{
	ck_assert_ptr_eq(conn, &fix.conn);
	tell('E');
}

static inline void
on_failed(struct conn *conn, int error)
{
	ck_assert_ptr_eq(conn, &fix.conn);
	fix.error = error;
	tell('F');
}

static inline void
on_sent(struct conn *conn)
{
	ck_assert_ptr_eq(conn, &fix.conn);
	ck_assert(conn_is_flushed(conn));
	if (fix.waits)
		tell('S');
	fix.waits = false;
}

static inline void
on_left(struct conn *conn)
{
	ck_assert_ptr_eq(conn, &fix.conn);
	tell('L');
}

static const struct conn_events events = {
	.connected = on_connected,
	.received = on_received,
	.ended = on_ended,
	.failed = on_failed,
	.sent = on_sent,
	.left = on_left,
};

#define CALL(call)                   \
	do {                         \
		fix.in_call = true;  \
		call;                \
		fix.in_call = false; \
	} while (0)

static inline int
tcp_socket(void)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int size = BUFFER;
	ck_assert_int_ge(fd, 0);
	setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	return fd;
}

/* Listens on some port of loopback. */
static inline int
listening(struct sockaddr_in *at)
{
	int fd = tcp_socket();
	socklen_t len = sizeof(*at);
	*at = (struct sockaddr_in){.sin_family = AF_INET};
	at->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)at, len), 0);
	ck_assert_int_eq(listen(fd, 1), 0);
	ck_assert_int_eq(getsockname(fd, (struct sockaddr *)at, &len), 0);
	return fd;
}

static inline void
set_up(void)
{
	memset(&fix, 0, sizeof(fix));
	fix.other = -1;
	fix.loop = ev_loop_new(EVFLAG_AUTO);
	ck_assert_int_eq(io_init(&fix.io, fix.loop, engine_in_use), 0);
	ck_assert_int_eq(io_start(&fix.io), 0);
	conn_init(&fix.conn, &fix.io, &events);
	ck_assert(!conn_is_open(&fix.conn));
}

/* An open conn with its other end. */
static inline void
set_up_pair(void)
{
	struct sockaddr_in at;
	set_up();
	int listener = listening(&at);
	fix.other = tcp_socket();
	ck_assert_int_eq(connect(fix.other, (struct sockaddr *)&at, sizeof(at)), 0);
	int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	ck_assert_int_ge(fd, 0);
	close(listener);
	CALL(conn_open(&fix.conn, fd));
	ck_assert(conn_is_open(&fix.conn));
}

/* Everything must be back in the end, whatever happened: io_fini checks nothing, ASan does. */
static inline void
tear_down(void)
{
	CALL(conn_close(&fix.conn));
	ck_assert(!conn_is_open(&fix.conn));
	if (fix.other >= 0)
		close(fix.other);
	io_fini(&fix.io);
	ev_loop_destroy(fix.loop);
}

static inline void
on_give_up(struct ev_loop *loop, ev_timer *timer, int ready)
{
	(void)timer;
	(void)ready;
	ev_break(loop, EVBREAK_ALL);
}

/* Runs the loop until these events were told in all. */
static inline void
await(const char *told)
{
	ev_timer give_up;
	ev_timer_init(&give_up, on_give_up, GIVE_UP_S, 0);
	ev_timer_start(fix.loop, &give_up);
	while (strcmp(fix.told, told) != 0 && ev_is_active(&give_up))
		ev_run(fix.loop, EVRUN_ONCE);
	bool in_time = ev_is_active(&give_up);
	ev_timer_stop(fix.loop, &give_up);
	ck_assert(in_time);
	ck_assert_str_eq(fix.told, told);
}

/* Lets the loop do all that can be done now. */
static inline void
turn(void)
{
	for (int i = 0; i < 20; i++)
		ev_run(fix.loop, EVRUN_NOWAIT);
}

static inline struct chunk *
chunk_of(const uint8_t *bytes, size_t len)
{
	struct chunk *chunk = chunk_get(&fix.io.chunks);
	ck_assert_ptr_nonnull(chunk);
	memcpy(chunk->bytes, bytes, len);
	chunk->len = len;
	return chunk;
}

static inline bool
send_bytes(const void *bytes, size_t len)
{
	bool done;
	CALL(done = conn_send(&fix.conn, chunk_of(bytes, len)));
	ck_assert_int_eq(done, conn_is_flushed(&fix.conn));
	fix.waits |= !done;
	return done;
}

/* What goes soon enough: nobody waits for it to be told. */
static inline void
say(const char *text)
{
	send_bytes(text, strlen(text));
	fix.waits = false;
	while (!conn_is_flushed(&fix.conn))
		ev_run(fix.loop, EVRUN_ONCE);
}

/* Sends until something has to wait. */
static inline void
fill_queue(void)
{
	static const uint8_t bytes[CHUNK_SIZE];
	while (send_bytes(bytes, sizeof(bytes)))
		;
}

/* Reads what the other end has got so far. */
static inline void
drain_other(void)
{
	uint8_t bytes[CHUNK_SIZE];
	while (recv(fix.other, bytes, sizeof(bytes), MSG_DONTWAIT) > 0)
		;
}

static inline void
reset_other(void)
{
	struct linger now = {.l_onoff = 1};
	setsockopt(fix.other, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	close(fix.other);
	fix.other = -1;
}

static inline void
other_says(const char *text)
{
	ck_assert_int_eq(send(fix.other, text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
}

/* Numbered words, so that any disorder shows. */
static inline uint8_t
byte_at(size_t at)
{
	uint32_t word = (uint32_t)(at / 4);
	return (uint8_t)(word >> 8 * (at % 4));
}

static const struct addr anywhere = {.family = ADDR_NONE};

static inline struct endpoint
endpoint_of(const struct sockaddr_in *sa)
{
	struct endpoint endpoint;
	endpoint_from_sockaddr(&endpoint, (const struct sockaddr *)sa);
	return endpoint;
}

#endif

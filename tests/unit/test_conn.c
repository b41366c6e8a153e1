/*
 * The contract of lb/io/conn.h, on socket pairs with small buffers. Nothing here knows the engine:
 * each test says what it does to the other end, and which events must come in which order.
 */
#include "tests/unit/unit.h"

#include "lb/io/conn.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
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
	uint8_t got[1 << 20]; /* what was received */
	size_t got_len;
	bool close_on_event;
	bool in_call; /* of a conn_* function */
} fix;

static void
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

static void
on_connected(struct conn *conn, int error)
{
	ck_assert_ptr_eq(conn, &fix.conn);
	fix.error = error;
	tell('C');
}

static void
on_received(struct conn *conn, struct chunk *chunk)
{
	ck_assert_ptr_eq(conn, &fix.conn);
	ck_assert_uint_gt(chunk->len, 0);
	ck_assert_uint_le(fix.got_len + chunk->len, sizeof(fix.got));
	memcpy(fix.got + fix.got_len, chunk->data, chunk->len);
	fix.got_len += chunk->len;
	chunk_put(chunk);
	tell('R');
}

static void
on_ended(struct conn *conn)
{
	ck_assert_ptr_eq(conn, &fix.conn);
	tell('E');
}

static void
on_failed(struct conn *conn, int error)
{
	ck_assert_ptr_eq(conn, &fix.conn);
	fix.error = error;
	tell('F');
}

static void
on_sent(struct conn *conn)
{
	ck_assert_ptr_eq(conn, &fix.conn);
	ck_assert(conn_is_flushed(conn));
	tell('S');
}

static void
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

static int
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
static int
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

static void
set_up(void)
{
	memset(&fix, 0, sizeof(fix));
	fix.other = -1;
	fix.loop = ev_loop_new(EVFLAG_AUTO);
	io_init(&fix.io, fix.loop);
	conn_init(&fix.conn, &fix.io, &events);
	ck_assert(!conn_is_open(&fix.conn));
}

/* An open conn with its other end. */
static void
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
static void
tear_down(void)
{
	CALL(conn_close(&fix.conn));
	ck_assert(!conn_is_open(&fix.conn));
	if (fix.other >= 0)
		close(fix.other);
	io_fini(&fix.io);
	ev_loop_destroy(fix.loop);
}

static void
on_give_up(struct ev_loop *loop, ev_timer *timer, int ready)
{
	(void)timer;
	(void)ready;
	ev_break(loop, EVBREAK_ALL);
}

/* Runs the loop until these events were told in all. */
static void
await(const char *told)
{
	ev_timer give_up;
	ev_timer_init(&give_up, on_give_up, GIVE_UP_S, 0);
	ev_timer_start(fix.loop, &give_up);
	while (strcmp(fix.told, told) != 0 && ev_is_active(&give_up))
		ev_run(fix.loop, EVRUN_ONCE);
	ev_timer_stop(fix.loop, &give_up);
	ck_assert_str_eq(fix.told, told);
}

/* Lets the loop do all that can be done now. */
static void
turn(void)
{
	for (int i = 0; i < 20; i++)
		ev_run(fix.loop, EVRUN_NOWAIT);
}

static struct chunk *
chunk_of(const uint8_t *bytes, size_t len)
{
	struct chunk *chunk = chunk_get(&fix.io.chunks);
	ck_assert_ptr_nonnull(chunk);
	memcpy(chunk->bytes, bytes, len);
	chunk->len = len;
	return chunk;
}

static bool
send_bytes(const void *bytes, size_t len)
{
	bool done;
	CALL(done = conn_send(&fix.conn, chunk_of(bytes, len)));
	ck_assert_int_eq(done, conn_is_flushed(&fix.conn));
	return done;
}

static void
reset_other(void)
{
	struct linger now = {.l_onoff = 1};
	setsockopt(fix.other, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	close(fix.other);
	fix.other = -1;
}

static void
other_says(const char *text)
{
	ck_assert_int_eq(send(fix.other, text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
}

/* Numbered words, so that any disorder shows. */
static uint8_t
byte_at(size_t at)
{
	uint32_t word = (uint32_t)(at / 4);
	return (uint8_t)(word >> 8 * (at % 4));
}

/* Chunks that do not fit, and a FIN behind them: all of it arrives in order, then the FIN. */
START_TEST(queued_chunks_then_fin)
{
	enum {
		CHUNKS = 40,
	};
	uint8_t bytes[CHUNK_SIZE];
	size_t at = 0;
	bool waits = false;
	set_up_pair();
	for (size_t i = 0; i < CHUNKS; i++) {
		size_t len = i % 3 == 0 ? CHUNK_SIZE : 1 + i * 97 % CHUNK_SIZE;
		for (size_t j = 0; j < len; j++)
			bytes[j] = byte_at(at++);
		waits |= !send_bytes(bytes, len);
	}
	ck_assert(waits);
	CALL(conn_shutdown(&fix.conn));
	CALL(conn_shutdown(&fix.conn));
	size_t got = 0, wrong = 0;
	for (;;) {
		ev_run(fix.loop, EVRUN_NOWAIT);
		ssize_t n = recv(fix.other, bytes, 1000, MSG_DONTWAIT);
		if (n < 0 && errno == EAGAIN)
			continue;
		ck_assert_int_ge(n, 0);
		if (n == 0)
			break;
		for (ssize_t j = 0; j < n; j++)
			wrong += bytes[j] != byte_at(got++);
	}
	ck_assert_uint_eq(got, at);
	ck_assert_uint_eq(wrong, 0);
	await("S");
	tear_down();
}
END_TEST

START_TEST(what_goes_at_once_is_not_told)
{
	char got[8];
	set_up_pair();
	ck_assert(send_bytes("hello", 5));
	ck_assert_int_eq(recv(fix.other, got, sizeof(got), 0), 5);
	turn();
	ck_assert_str_eq(fix.told, "");
	CALL(conn_shutdown(&fix.conn));
	ck_assert_int_eq(recv(fix.other, got, sizeof(got), 0), 0);
	tear_down();
}
END_TEST

START_TEST(send_whole)
{
	char got[8];
	static uint8_t much[1 << 20];
	int result;
	set_up_pair();
	CALL(result = conn_send_whole(&fix.conn, "hello", 5));
	ck_assert_int_eq(result, 0);
	ck_assert_int_eq(recv(fix.other, got, sizeof(got), 0), 5);
	CALL(result = conn_send_whole(&fix.conn, much, sizeof(much)));
	ck_assert_int_eq(result, -1);
	tear_down();
}
END_TEST

/* A closed conn takes everything and does nothing. */
START_TEST(after_close)
{
	char got;
	set_up_pair();
	CALL(conn_close(&fix.conn));
	ck_assert(send_bytes("x", 1));
	CALL(conn_shutdown(&fix.conn));
	CALL(conn_discard(&fix.conn));
	CALL(conn_close(&fix.conn));
	CALL(conn_reset(&fix.conn));
	ck_assert(!conn_is_open(&fix.conn));
	ck_assert_int_eq(recv(fix.other, &got, 1, 0), 0);
	turn();
	ck_assert_str_eq(fix.told, "");
	tear_down();
}
END_TEST

/* What was queued is dropped with it, and nothing is told any more. */
START_TEST(close_with_a_queue)
{
	uint8_t bytes[CHUNK_SIZE] = {0};
	set_up_pair();
	while (send_bytes(bytes, sizeof(bytes)))
		;
	send_bytes(bytes, sizeof(bytes));
	CALL(conn_receive(&fix.conn));
	other_says("unheard");
	CALL(conn_close(&fix.conn));
	ck_assert(conn_is_flushed(&fix.conn));
	turn();
	ck_assert_str_eq(fix.told, "");
	tear_down();
}
END_TEST

START_TEST(reset_is_a_reset)
{
	char got;
	set_up_pair();
	CALL(conn_reset(&fix.conn));
	ck_assert_int_eq(recv(fix.other, &got, 1, 0), -1);
	ck_assert_int_eq(errno, ECONNRESET);
	tear_down();
}
END_TEST

/* A close with unread bytes would be a reset: the reply before it would be lost. */
START_TEST(discard_makes_an_orderly_close)
{
	char got[8];
	set_up_pair();
	for (int i = 0; i < 100; i++)
		other_says("early");
	ck_assert(send_bytes("reply", 5));
	CALL(conn_shutdown(&fix.conn));
	CALL(conn_discard(&fix.conn));
	CALL(conn_close(&fix.conn));
	ck_assert_int_eq(recv(fix.other, got, sizeof(got), 0), 5);
	ck_assert_int_eq(recv(fix.other, got, sizeof(got), 0), 0);
	tear_down();
}
END_TEST

START_TEST(pause_and_receive)
{
	set_up_pair();
	other_says("one");
	turn();
	ck_assert_str_eq(fix.told, "");
	CALL(conn_receive(&fix.conn));
	await("R");
	CALL(conn_pause(&fix.conn));
	other_says("two");
	shutdown(fix.other, SHUT_WR);
	turn();
	ck_assert_str_eq(fix.told, "R");
	CALL(conn_receive(&fix.conn));
	await("RE");
	ck_assert_uint_eq(fix.got_len, 6);
	ck_assert_mem_eq(fix.got, "onetwo", 6);
	/* The end is told once, and who has ended may still be sent to. */
	CALL(conn_receive(&fix.conn));
	turn();
	ck_assert_str_eq(fix.told, "RE");
	ck_assert(send_bytes("x", 1));
	tear_down();
}
END_TEST

/* Much at once comes in turns, in order, and the FIN behind all of it. */
START_TEST(much_then_fin)
{
	enum {
		BYTES = 500000,
	};
	uint8_t piece[5000];
	size_t sent = 0;
	set_up_pair();
	CALL(conn_receive(&fix.conn));
	while (sent < BYTES) {
		size_t len = 0;
		for (; len < sizeof(piece) && sent + len < BYTES; len++)
			piece[len] = byte_at(sent + len);
		ssize_t n = send(fix.other, piece, len, MSG_DONTWAIT | MSG_NOSIGNAL);
		ck_assert(n >= 0 || errno == EAGAIN);
		sent += n > 0 ? (size_t)n : 0;
		ev_run(fix.loop, EVRUN_NOWAIT);
	}
	shutdown(fix.other, SHUT_WR);
	await("RE");
	ck_assert_uint_eq(fix.got_len, BYTES);
	size_t wrong = 0;
	for (size_t i = 0; i < BYTES; i++)
		wrong += fix.got[i] != byte_at(i);
	ck_assert_uint_eq(wrong, 0);
	tear_down();
}
END_TEST

/* Who leaves without a word is told, by FIN and by RST; nothing is taken. */
START_TEST(await_leave)
{
	set_up_pair();
	CALL(conn_await_leave(&fix.conn));
	turn();
	ck_assert_str_eq(fix.told, "");
	if (_i == 0)
		shutdown(fix.other, SHUT_WR);
	else
		reset_other();
	await("L");
	turn();
	ck_assert_str_eq(fix.told, "L");
	tear_down();
}
END_TEST

/* With early data a FIN is no leave, a RST is seen when asked for; the loop does not spin. */
START_TEST(await_leave_with_early_data)
{
	bool left;
	set_up_pair();
	CALL(conn_await_leave(&fix.conn));
	other_says("early");
	turn();
	CALL(left = conn_has_left(&fix.conn));
	ck_assert(!left);
	shutdown(fix.other, SHUT_WR);
	turn();
	CALL(left = conn_has_left(&fix.conn));
	ck_assert(!left);
	ck_assert_str_eq(fix.told, "");
	ck_assert_uint_eq(ev_pending_count(fix.loop), 0);
	CALL(conn_receive(&fix.conn));
	await("RE");
	ck_assert_uint_eq(fix.got_len, 5);
	ck_assert_mem_eq(fix.got, "early", 5);
	tear_down();
}
END_TEST

START_TEST(await_leave_with_early_data_and_a_reset)
{
	bool left;
	set_up_pair();
	CALL(conn_await_leave(&fix.conn));
	other_says("early");
	turn();
	reset_other();
	CALL(left = conn_has_left(&fix.conn));
	ck_assert(left);
	tear_down();
}
END_TEST

START_TEST(a_reset_while_receiving)
{
	set_up_pair();
	CALL(conn_receive(&fix.conn));
	reset_other();
	await("F");
	ck_assert_int_eq(fix.error, ECONNRESET);
	turn();
	ck_assert_str_eq(fix.told, "F");
	tear_down();
}
END_TEST

/* Sending to an end that takes no more is no error of its own: `sent` is told, so that nobody
 * waits, what is sent afterwards is dropped, and the receiving side tells of the end. */
START_TEST(a_reset_while_sending)
{
	uint8_t bytes[CHUNK_SIZE] = {0};
	set_up_pair();
	while (send_bytes(bytes, sizeof(bytes)))
		;
	reset_other();
	await("S");
	ck_assert(send_bytes("dropped", 7));
	CALL(conn_shutdown(&fix.conn));
	CALL(conn_receive(&fix.conn));
	await("SE");
	tear_down();
}
END_TEST

/* An event may close the conn it is told of. */
START_TEST(close_in_an_event)
{
	set_up_pair();
	fix.close_on_event = true;
	CALL(conn_receive(&fix.conn));
	for (int i = 0; i < 4; i++)
		other_says("some of it");
	shutdown(fix.other, SHUT_WR);
	await("R");
	turn();
	ck_assert_str_eq(fix.told, "R");
	tear_down();
}
END_TEST

static const struct addr anywhere = {.family = ADDR_NONE};

static struct endpoint
endpoint_of(const struct sockaddr_in *sa)
{
	struct endpoint endpoint;
	endpoint_from_sockaddr(&endpoint, (const struct sockaddr *)sa);
	return endpoint;
}

START_TEST(connect_and_talk)
{
	struct sockaddr_in at;
	char got[8];
	int result;
	set_up();
	int listener = listening(&at);
	struct endpoint to = endpoint_of(&at);
	CALL(result = conn_connect(&fix.conn, &to, &anywhere));
	ck_assert_int_eq(result, 0);
	ck_assert(conn_is_open(&fix.conn));
	await("C");
	ck_assert_int_eq(fix.error, 0);
	fix.other = accept(listener, NULL, NULL);
	close(listener);
	ck_assert(send_bytes("hello", 5));
	ck_assert_int_eq(recv(fix.other, got, sizeof(got), 0), 5);
	CALL(conn_receive(&fix.conn));
	other_says("you too");
	await("CR");
	tear_down();
}
END_TEST

START_TEST(connect_refused)
{
	struct sockaddr_in at;
	int result;
	set_up();
	close(listening(&at));
	struct endpoint to = endpoint_of(&at);
	CALL(result = conn_connect(&fix.conn, &to, &anywhere));
	if (result == 0) {
		await("C");
		ck_assert_int_eq(fix.error, ECONNREFUSED);
	} else {
		ck_assert_int_eq(errno, ECONNREFUSED);
	}
	turn();
	tear_down();
}
END_TEST

/* Closed before it stands: nothing is told, and the conn may be set up and used anew. */
START_TEST(connect_abandoned)
{
	struct sockaddr_in at;
	int result;
	set_up();
	int listener = listening(&at);
	struct endpoint to = endpoint_of(&at);
	CALL(result = conn_connect(&fix.conn, &to, &anywhere));
	ck_assert_int_eq(result, 0);
	CALL(conn_close(&fix.conn));
	turn();
	ck_assert_str_eq(fix.told, "");
	conn_init(&fix.conn, &fix.io, &events);
	CALL(result = conn_connect(&fix.conn, &to, &anywhere));
	ck_assert_int_eq(result, 0);
	await("C");
	close(listener);
	tear_down();
}
END_TEST

static void
add(TCase *cases)
{
	tcase_add_test(cases, queued_chunks_then_fin);
	tcase_add_test(cases, what_goes_at_once_is_not_told);
	tcase_add_test(cases, send_whole);
	tcase_add_test(cases, after_close);
	tcase_add_test(cases, close_with_a_queue);
	tcase_add_test(cases, reset_is_a_reset);
	tcase_add_test(cases, discard_makes_an_orderly_close);
	tcase_add_test(cases, pause_and_receive);
	tcase_add_test(cases, much_then_fin);
	tcase_add_loop_test(cases, await_leave, 0, 2);
	tcase_add_test(cases, await_leave_with_early_data);
	tcase_add_test(cases, await_leave_with_early_data_and_a_reset);
	tcase_add_test(cases, a_reset_while_receiving);
	tcase_add_test(cases, a_reset_while_sending);
	tcase_add_test(cases, close_in_an_event);
	tcase_add_test(cases, connect_and_talk);
	tcase_add_test(cases, connect_refused);
	tcase_add_test(cases, connect_abandoned);
}

UNIT_MAIN("conn", add)

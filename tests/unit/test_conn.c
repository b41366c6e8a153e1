/*
 * The contract of lb/io/conn.h, on socket pairs with small buffers, under each engine that this
 * kernel has: each test says what it does to the other end, and which events must come in which
 * order.
 */
#include "tests/unit/conn_fixture.h"
#include "tests/unit/unit.h"

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

START_TEST(nobody_waits_for_what_goes_at_once)
{
	char got[8];
	set_up_pair();
	say("hello");
	ck_assert_int_eq(recv(fix.other, got, sizeof(got), 0), 5);
	turn();
	ck_assert_str_eq(fix.told, "");
	CALL(conn_shutdown(&fix.conn));
	turn();
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
	turn();
	ck_assert_int_eq(recv(fix.other, &got, 1, 0), 0);
	ck_assert_str_eq(fix.told, "");
	tear_down();
}
END_TEST

/* What was queued is dropped with it, and nothing is told any more. */
START_TEST(close_with_a_queue)
{
	uint8_t bytes[CHUNK_SIZE] = {0};
	set_up_pair();
	fill_queue();
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
	turn();
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
	send_bytes("reply", 5);
	CALL(conn_shutdown(&fix.conn));
	CALL(conn_discard(&fix.conn));
	CALL(conn_close(&fix.conn));
	turn();
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
	say("x");
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
	set_up_pair();
	fill_queue();
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

/* Has the other end say that much, and waits for it. Returns the longest chunk's length. */
static size_t
longest_of(size_t len)
{
	static const uint8_t bytes[CHUNK_SIZE + CHUNK_LARGE];
	fix.got_len = fix.got_longest = 0;
	ck_assert_int_eq(send(fix.other, bytes, len, 0), (ssize_t)len);
	while (fix.got_len < len)
		ev_run(fix.loop, EVRUN_ONCE);
	return fix.got_longest;
}

/* Once a chunk was full, until less than that is there. */
START_TEST(a_stream_comes_in_large_chunks)
{
	int fds[2];
	set_up();
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
	fix.other = fds[1];
	CALL(conn_open(&fix.conn, fds[0]));
	CALL(conn_receive(&fix.conn));
	ck_assert_uint_eq(longest_of(CHUNK_SIZE), CHUNK_SIZE);
	ck_assert_uint_eq(longest_of(CHUNK_LARGE), CHUNK_LARGE);
	ck_assert_uint_eq(longest_of(1), 1);
	ck_assert_uint_eq(longest_of(CHUNK_SIZE + 1), CHUNK_SIZE);
	tear_down();
}
END_TEST

/* ... and nothing follows: neither the rest of what is there nor, after `sent`, what could be
 * received as well. */
START_TEST(nothing_follows_a_close_in_received)
{
	static const uint8_t bytes[2 * CHUNK_SIZE];
	int fds[2];
	set_up();
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
	fix.other = fds[1];
	CALL(conn_open(&fix.conn, fds[0]));
	fix.close_on_event = true;
	CALL(conn_receive(&fix.conn));
	ck_assert_int_eq(send(fix.other, bytes, sizeof(bytes), 0), sizeof(bytes));
	await("R");
	turn();
	ck_assert_str_eq(fix.told, "R");
	ck_assert_uint_eq(fix.got_len, CHUNK_SIZE);
	tear_down();
}
END_TEST

START_TEST(nothing_follows_a_close_in_sent)
{
	set_up_pair();
	fix.close_on_event = true;
	fill_queue();
	drain_other();
	other_says("unheard");
	struct pollfd both = {.fd = fix.conn.fd, .events = POLLIN | POLLOUT};
	while (both.revents != (POLLIN | POLLOUT))
		ck_assert_int_eq(poll(&both, 1, -1), 1);
	CALL(conn_receive(&fix.conn));
	while (!fix.told_len) {
		ev_run(fix.loop, EVRUN_NOWAIT);
		drain_other();
	}
	turn();
	ck_assert_uint_eq(fix.told_len, 1);
	tear_down();
}
END_TEST

START_TEST(connect_and_talk)
{
	struct sockaddr_in at;
	char got[8];
	int result;
	set_up();
	int listener = listening(&at);
	struct endpoint to = endpoint_of(&at);
	CALL(result = conn_connect(&fix.conn, &to, &anywhere, false));
	ck_assert_int_eq(result, 0);
	ck_assert(conn_is_open(&fix.conn));
	await("C");
	ck_assert_int_eq(fix.error, 0);
	fix.other = accept(listener, NULL, NULL);
	close(listener);
	say("hello");
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
	CALL(result = conn_connect(&fix.conn, &to, &anywhere, false));
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
	CALL(result = conn_connect(&fix.conn, &to, &anywhere, false));
	ck_assert_int_eq(result, 0);
	CALL(conn_close(&fix.conn));
	turn();
	ck_assert_str_eq(fix.told, "");
	conn_init(&fix.conn, &fix.io, &events);
	CALL(result = conn_connect(&fix.conn, &to, &anywhere, false));
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
	tcase_add_test(cases, nobody_waits_for_what_goes_at_once);
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
	tcase_add_test(cases, a_stream_comes_in_large_chunks);
	tcase_add_test(cases, nothing_follows_a_close_in_received);
	tcase_add_test(cases, nothing_follows_a_close_in_sent);
	tcase_add_test(cases, connect_and_talk);
	tcase_add_test(cases, connect_refused);
	tcase_add_test(cases, connect_abandoned);
}

int
main(void)
{
	Suite *suite = suite_create("conn");
	TCase *libev = unit_tcase(suite, "libev");
	tcase_add_checked_fixture(libev, use_libev, NULL);
	add(libev);
	if (has_uring()) {
		TCase *uring = unit_tcase(suite, "io_uring");
		tcase_add_checked_fixture(uring, use_uring, NULL);
		add(uring);
	} else {
		printf("test_conn: io_uring is not tested: this kernel does not allow it\n");
	}
	return unit_run(suite);
}

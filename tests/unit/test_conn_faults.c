/*
 * A conn whose system calls fail: for want of memory to watch it, by interruption, and by kernels
 * that answer otherwise than expected. What is told must be as conn.h says, and nobody may wait for
 * ever.
 */
#include "tests/unit/conn_fixture.h"
#include "tests/unit/faults.h"
#include "tests/unit/unit.h"

/* Each of these brings the conn to wait for something. */

static void
receive(void)
{
	CALL(conn_receive(&fix.conn));
}

static void
send_much(void)
{
	fill_queue();
}

static void
send_and_receive(void)
{
	fill_queue();
	CALL(conn_receive(&fix.conn));
}

static void
end_and_send_much(void)
{
	shutdown(fix.other, SHUT_WR);
	CALL(conn_receive(&fix.conn));
	await("E");
	fill_queue();
}

/* The loop makes its epoll anew, where there is place for what wakes it, but none for the conn. */
static void
lose_watch(int error)
{
	turn();
	fault_order("epoll_ctl", error, 2, UINT_MAX);
	ev_loop_fork(fix.loop);
	turn();
	faults_clear();
}

/* The other end hears what had gone to the kernel, and then the end. */
static void
check_end_of_other(void)
{
	uint8_t bytes[CHUNK_SIZE];
	ssize_t n;
	while ((n = recv(fix.other, bytes, sizeof(bytes), 0)) > 0)
		;
	ck_assert_int_eq(n, 0);
}

static const struct {
	void (*wait)(void);
	const char *told;
} lost[] = {
	{receive, "F"},
	{send_much, "F"},
	{send_and_receive, "F"},
	{end_and_send_much, "ES"},
};

static const int watch_errors[] = {ENOMEM, ENOSPC};

START_TEST(lost_watch_ends_a_conn)
{
	set_up_pair();
	int row = _i / 2;
	lost[row].wait();
	lose_watch(watch_errors[_i % 2]);
	ck_assert_str_eq(fix.told, lost[row].told);
	if (strchr(fix.told, 'F'))
		ck_assert_int_eq(fix.error, ENOMEM);
	ck_assert(conn_is_flushed(&fix.conn));
	ck_assert(send_bytes("dropped", 7));
	check_end_of_other();
	turn();
	ck_assert_str_eq(fix.told, lost[row].told);
	tear_down();
}
END_TEST

START_TEST(lost_watch_while_connecting)
{
	struct sockaddr_in at;
	int result;
	set_up();
	int listener = listening(&at);
	struct endpoint to = endpoint_of(&at);
	turn();
	fault_order("epoll_ctl", watch_errors[_i], 1, 1);
	CALL(result = conn_connect(&fix.conn, &to, &anywhere, false));
	ck_assert_int_eq(result, 0);
	await("C");
	ck_assert_int_eq(fix.error, ENOMEM);
	turn();
	ck_assert_str_eq(fix.told, "C");
	close(listener);
	tear_down();
}
END_TEST

/* Who is not seen to leave has not left: it can be asked for, and the conn is as good as ever. */
START_TEST(lost_watch_while_a_leave_is_awaited)
{
	bool left;
	set_up_pair();
	CALL(conn_await_leave(&fix.conn));
	lose_watch(watch_errors[_i % 2]);
	ck_assert_str_eq(fix.told, "");
	CALL(left = conn_has_left(&fix.conn));
	ck_assert(!left);
	if (_i / 2 == 0) {
		reset_other();
		CALL(left = conn_has_left(&fix.conn));
		ck_assert(left);
	} else {
		other_says("hello");
		CALL(conn_receive(&fix.conn));
		await("R");
		ck_assert_mem_eq(fix.got, "hello", 5);
	}
	tear_down();
}
END_TEST

static const struct {
	const char *call;
	int error;
} passing[] = {
	{"recv", EINTR},
	{"recv", EAGAIN},
	{"send", EINTR},
	{"send", EAGAIN},
};

/* ... and cost no byte. */
START_TEST(passing_errors)
{
	char got[8];
	set_up_pair();
	fault_order(passing[_i].call, passing[_i].error, 1, 2);
	CALL(conn_receive(&fix.conn));
	ck_assert_int_eq(write(fix.other, "hello", 5), 5);
	await("R");
	ck_assert_mem_eq(fix.got, "hello", 5);
	send_bytes("you too", 7);
	while (!conn_is_flushed(&fix.conn))
		ev_run(fix.loop, EVRUN_ONCE);
	ck_assert_int_eq(read(fix.other, got, sizeof(got)), 7);
	ck_assert_mem_eq(got, "you too", 7);
	tear_down();
}
END_TEST

/* Of a conn that can't be asked about nobody says that its other end is there. */
START_TEST(leave_that_can_not_be_asked_for)
{
	bool left;
	set_up_pair();
	CALL(conn_await_leave(&fix.conn));
	other_says("early");
	turn();
	fault_order("getsockopt", ENOTCONN, 1, 1);
	CALL(left = conn_has_left(&fix.conn));
	ck_assert(left);
	tear_down();
}
END_TEST

START_TEST(connect_that_ends_unseen)
{
	struct sockaddr_in at;
	int result;
	set_up();
	int listener = listening(&at);
	struct endpoint to = endpoint_of(&at);
	CALL(result = conn_connect(&fix.conn, &to, &anywhere, false));
	ck_assert_int_eq(result, 0);
	fault_order("getsockopt", ENOBUFS, 1, 1);
	await("C");
	ck_assert_int_eq(fix.error, ENOBUFS);
	close(listener);
	tear_down();
}
END_TEST

static void
add(TCase *cases)
{
	tcase_add_loop_test(cases, lost_watch_ends_a_conn, 0, 2 * sizeof(lost) / sizeof(lost[0]));
	tcase_add_loop_test(cases, lost_watch_while_connecting, 0, 2);
	tcase_add_loop_test(cases, lost_watch_while_a_leave_is_awaited, 0, 4);
	tcase_add_loop_test(cases, passing_errors, 0, sizeof(passing) / sizeof(passing[0]));
	tcase_add_test(cases, leave_that_can_not_be_asked_for);
	tcase_add_test(cases, connect_that_ends_unseen);
}

UNIT_MAIN("conn_faults", add)

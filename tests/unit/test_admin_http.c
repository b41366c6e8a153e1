/*
 * The admin interface's server against hard clients: who drips, who sends too much, too many at
 * once, and who waits when it ends. The clock is the test's: libev, libmicrohttpd and the code
 * under test see it jump.
 */
#include "lb/admin/http.h"

#include "tests/unit/unit.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum {
	CONNECTIONS_MAX = 32, /* of a server */
	STEP_S = 8,           /* less than the time in which nothing may come */
	STEPS = 4,            /* more than a request and its answer may take */
	ROUNDS = 8,           /* of the loop: to accept, to read, to answer */
	TEXT_MAX = 4096,
};

static time_t jumped_s;

int
clock_gettime(clockid_t clock, struct timespec *now)
{
	int result = (int)syscall(SYS_clock_gettime, clock, now);
	now->tv_sec += jumped_s;
	return result;
}

static struct {
	struct ev_loop *loop;
	struct http *http;
	struct sockaddr_in address;
	unsigned handled;
	bool keeps;                 /* the exchanges, unanswered */
	struct http_exchange *kept; /* the last one */
} fix;

static void
answer(struct http_exchange *exchange)
{
	http_answer(exchange,
		&(struct http_answer){
			.status = 200, .type = "text/plain", .body = strdup("well"), .len = 4});
}

static void
handle(void *context, struct http_exchange *exchange, const char *method, const char *path)
{
	ck_assert_ptr_eq(context, &fix);
	ck_assert_ptr_eq(http_context(exchange), &fix);
	ck_assert_str_eq(method, "POST");
	ck_assert_str_eq(path, "/x");
	fix.handled++;
	if (fix.keeps)
		fix.kept = exchange;
	else
		answer(exchange);
	ev_break(fix.loop, EVBREAK_ONE);
}

static void
begin(void)
{
	socklen_t len = sizeof(fix.address);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	memset(&fix, 0, sizeof(fix));
	jumped_s = 0;
	fix.address = (struct sockaddr_in){
		.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&fix.address, len), 0);
	ck_assert_int_eq(listen(fd, 128), 0);
	ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&fix.address, &len), 0);
	fix.loop = ev_loop_new(EVFLAG_AUTO);
	fix.http = http_new(fix.loop, fd, handle, &fix);
	ck_assert_ptr_nonnull(fix.http);
	http_start(fix.http);
}

static void
end(void)
{
	http_free(fix.http);
	ev_loop_destroy(fix.loop);
}

static int
dial(void)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	ck_assert_int_eq(connect(fd, (struct sockaddr *)&fix.address, sizeof(fix.address)), 0);
	ck_assert_int_eq(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
	return fd;
}

static void
say(int fd, const char *text)
{
	ck_assert_int_eq(send(fd, text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
}

static void
on_readable(struct ev_loop *loop, ev_io *io, int events)
{
	(void)io;
	(void)events;
	ev_break(loop, EVBREAK_ONE);
}

/* Lets the server run until something has come for the client. */
static void
await(int fd)
{
	ev_io io;
	ev_io_init(&io, on_readable, fd, EV_READ);
	ev_io_start(fix.loop, &io);
	char byte;
	while (recv(fd, &byte, 1, MSG_PEEK) < 0 && errno == EAGAIN)
		ev_run(fix.loop, 0);
	ev_io_stop(fix.loop, &io);
}

/* What comes until the end or until it has come whole, by its last bytes; closed: the end came. */
static bool
hear(int fd, const char *last, char text[TEXT_MAX])
{
	size_t len = 0;
	text[0] = '\0';
	for (;;) {
		await(fd);
		ssize_t got = recv(fd, text + len, TEXT_MAX - 1 - len, 0);
		if (got <= 0)
			return true;
		len += (size_t)got;
		text[len] = '\0';
		if (last && strstr(text, last))
			return false;
	}
}

/* Lets the server take whatever has come. */
static void
settle(void)
{
	for (int i = 0; i < ROUNDS; i++)
		ev_run(fix.loop, EVRUN_NOWAIT);
}

static const char request[] = "POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n";

START_TEST(one_that_drips_has_its_time)
{
	char text[TEXT_MAX];
	begin();
	int slow = dial();
	for (int i = 0; i < STEPS; i++) {
		say(slow, "P");
		settle();
		ck_assert_int_lt(recv(slow, text, 1, 0), 0);
		jumped_s += STEP_S;
	}
	settle();
	ck_assert_int_eq(recv(slow, text, 1, 0), 0);
	ck_assert_uint_eq(fix.handled, 0);
	close(slow);
	end();
}
END_TEST

/* Each request has its time anew. */
START_TEST(one_that_asks_again_and_again_stays)
{
	char text[TEXT_MAX];
	begin();
	int fd = dial();
	for (int i = 0; i < 2 * STEPS; i++) {
		say(fd, request);
		ck_assert(!hear(fd, "well", text));
		ck_assert_int_eq(strncmp(text, "HTTP/1.1 200 ", 13), 0);
		jumped_s += STEP_S;
	}
	close(fd);
	end();
}
END_TEST

START_TEST(one_that_waits_for_us_is_not_cut)
{
	char text[TEXT_MAX];
	begin();
	fix.keeps = true;
	int fd = dial();
	say(fd, request);
	while (!fix.kept)
		ev_run(fix.loop, 0);
	for (int i = 0; i < 2 * STEPS; i++) {
		jumped_s += STEP_S;
		settle();
	}
	answer(fix.kept);
	ck_assert(!hear(fd, "well", text));
	close(fd);
	end();
}
END_TEST

START_TEST(a_large_body_is_refused)
{
	char text[TEXT_MAX];
	begin();
	int fd = dial();
	say(fd, "POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 10000000\r\n\r\nxxxx");
	ck_assert(!hear(fd, "}", text));
	ck_assert_int_eq(strncmp(text, "HTTP/1.1 413 ", 13), 0);
	close(fd);
	ck_assert_uint_eq(fix.handled, 0);
	end();
}
END_TEST

START_TEST(a_body_without_an_end_is_cut)
{
	char text[TEXT_MAX], piece[1024 + 16];
	begin();
	int fd = dial();
	say(fd, "POST /x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n");
	snprintf(piece, sizeof(piece), "400\r\n%01024d\r\n", 0);
	for (int i = 0; i < 65; i++) {
		say(fd, piece);
		settle();
	}
	ck_assert(hear(fd, NULL, text));
	ck_assert_str_eq(text, "");
	ck_assert_uint_eq(fix.handled, 0);
	close(fd);
	end();
}
END_TEST

START_TEST(a_small_body_is_thrown_away)
{
	char text[TEXT_MAX];
	begin();
	int fd = dial();
	say(fd, "POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello");
	ck_assert(!hear(fd, "well", text));
	ck_assert_uint_eq(fix.handled, 1);
	close(fd);
	end();
}
END_TEST

/* Who finds all places taken waits for one. */
START_TEST(so_many_at_once_only)
{
	char text[TEXT_MAX];
	int held[CONNECTIONS_MAX];
	begin();
	for (int i = 0; i < CONNECTIONS_MAX; i++) {
		held[i] = dial();
		say(held[i], request);
		ck_assert(!hear(held[i], "well", text));
	}
	int late = dial();
	say(late, request);
	/* Another round with one who has his place: the late one's turn would have come. */
	say(held[0], request);
	ck_assert(!hear(held[0], "well", text));
	settle();
	ck_assert_int_lt(recv(late, text, 1, 0), 0);
	ck_assert_uint_eq(fix.handled, CONNECTIONS_MAX + 1);
	close(held[0]);
	ck_assert(!hear(late, "well", text));
	close(late);
	for (int i = 1; i < CONNECTIONS_MAX; i++)
		close(held[i]);
	end();
}
END_TEST

/* Who has left before he was let in, in the middle of a request, keeps nobody waiting. */
START_TEST(who_has_left_has_no_place)
{
	char text[TEXT_MAX];
	begin();
	for (int i = 0; i < 2 * CONNECTIONS_MAX; i++) {
		int gone = dial();
		say(gone, "POST /x");
		close(gone);
	}
	int fd = dial();
	say(fd, request);
	for (int i = 0; i < 4; i++)
		settle();
	ck_assert_uint_eq(fix.handled, 1);
	ck_assert(!hear(fd, "well", text));
	close(fd);
	end();
}
END_TEST

START_TEST(all_places_may_wait_for_us)
{
	char text[TEXT_MAX];
	int fds[CONNECTIONS_MAX];
	struct http_exchange *kept[CONNECTIONS_MAX];
	begin();
	fix.keeps = true;
	for (unsigned i = 0; i < CONNECTIONS_MAX; i++) {
		fds[i] = dial();
		say(fds[i], request);
		while (fix.handled == i)
			ev_run(fix.loop, 0);
		kept[i] = fix.kept;
	}
	settle();
	for (unsigned i = 0; i < CONNECTIONS_MAX; i++) {
		answer(kept[i]);
		ck_assert(!hear(fds[i], "well", text));
		close(fds[i]);
	}
	end();
}
END_TEST

START_TEST(who_waits_at_the_end_is_told)
{
	char text[TEXT_MAX] = "";
	begin();
	fix.keeps = true;
	int fd = dial(), other = dial();
	say(fd, request);
	say(other, request);
	while (fix.handled < 2)
		ev_run(fix.loop, 0);
	http_free(fix.http);
	ck_assert_int_gt(recv(fd, text, sizeof(text) - 1, 0), 0);
	ck_assert_int_eq(strncmp(text, "HTTP/1.1 503 ", 13), 0);
	ck_assert_ptr_nonnull(strstr(text, "{\"error\":\"it stops\"}"));
	ck_assert_int_gt(recv(other, text, sizeof(text) - 1, 0), 0);
	close(fd);
	close(other);
	ev_loop_destroy(fix.loop);
}
END_TEST

/* One whose request comes in the last moment is not handled any more. */
START_TEST(what_comes_in_the_last_moment_is_refused)
{
	char text[TEXT_MAX] = "";
	begin();
	int fd = dial();
	say(fd, request);
	ck_assert(!hear(fd, "well", text));
	say(fd, request);
	http_free(fix.http);
	memset(text, 0, sizeof(text));
	ck_assert_int_gt(recv(fd, text, sizeof(text) - 1, 0), 0);
	ck_assert_int_eq(strncmp(text, "HTTP/1.1 503 ", 13), 0);
	ck_assert_uint_eq(fix.handled, 1);
	close(fd);
	ev_loop_destroy(fix.loop);
}
END_TEST

START_TEST(one_that_retires_answers_who_waits)
{
	char text[TEXT_MAX];
	begin();
	fix.keeps = true;
	int fd = dial();
	say(fd, request);
	while (!fix.kept)
		ev_run(fix.loop, 0);
	http_retire(fix.http);
	ev_run(fix.loop, EVRUN_NOWAIT);
	answer(fix.kept);
	ck_assert(!hear(fd, "well", text));
	close(fd);
	ev_run(fix.loop, 0); /* ends when there is nothing left to wait for: the server is gone */
	ev_loop_destroy(fix.loop);
}
END_TEST

static void
fill(TCase *cases)
{
	tcase_add_test(cases, one_that_drips_has_its_time);
	tcase_add_test(cases, one_that_asks_again_and_again_stays);
	tcase_add_test(cases, one_that_waits_for_us_is_not_cut);
	tcase_add_test(cases, a_large_body_is_refused);
	tcase_add_test(cases, a_body_without_an_end_is_cut);
	tcase_add_test(cases, a_small_body_is_thrown_away);
	tcase_add_test(cases, so_many_at_once_only);
	tcase_add_test(cases, who_has_left_has_no_place);
	tcase_add_test(cases, all_places_may_wait_for_us);
	tcase_add_test(cases, who_waits_at_the_end_is_told);
	tcase_add_test(cases, what_comes_in_the_last_moment_is_refused);
	tcase_add_test(cases, one_that_retires_answers_who_waits);
}

UNIT_MAIN("admin_http", fill)

/*
 * One probe against a scripted peer on loopback: every way in which it can end, and that each has
 * one cause. Nothing here measures time: the loop runs until the event came.
 */
#include "tests/unit/probe_bench.h"
#include "tests/unit/unit.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <time.h>

static const struct {
	struct peer_script script;
	enum probe_cause cause;
	const char *detail;
} rows[] = {
	{{.bytes = "HTTP/1.1 200 OK\r\n\r\n"}, PROBE_OK, "200"},
	{{.bytes = "HTTP/1.1 299 OK\r\nA: b\r\n\r\nbody"}, PROBE_OK, "299"},
	{{.bytes = "HTTP/1.0 302 Found\n\n"}, PROBE_OK, "302"},
	{{.bytes = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbody", .drip = true}, PROBE_OK,
		"200"},
	{{.bytes = "HTTP/1.1 100 x\r\n\r\nHTTP/1.1 204\r\n\r\n", .drip = true}, PROBE_OK, "204"},
	{{.bytes = "HTTP/1.1 200 OK\r\n\r\n", .end = PEER_RESET, .drip = true}, PROBE_OK, "200"},
	{{.bytes = "HTTP/1.1 300 x\r\n\r\n"}, PROBE_STATUS, "status 300"},
	{{.bytes = "HTTP/1.1 503 x\r\n\r\nbody", .drip = true}, PROBE_STATUS, "status 503"},
	{{.bytes = "HTTP/1.1 101 x\r\n\r\n"}, PROBE_STATUS, "status 101"},
	{{.bytes = ""}, PROBE_CLOSED, "closed: without a reply"},
	{{.bytes = "", .deaf = true}, PROBE_CLOSED, "closed: without a reply"},
	{{.bytes = "HTTP/1.1 200 OK"}, PROBE_CLOSED, "closed: in the middle of the header"},
	{{.bytes = "HTTP/1.1 200 OK\r\nA: b\r\n"}, PROBE_CLOSED,
		"closed: in the middle of the header"},
	{{.bytes = "", .end = PEER_RESET}, PROBE_RESET, "reset: Connection reset by peer"},
	{{.bytes = "HTTP/1.1 200 OK\r\n", .end = PEER_RESET, .drip = true}, PROBE_RESET,
		"reset: Connection reset by peer"},
	{{.bytes = "HTTP/1.1 65736 OK\r\n\r\n"}, PROBE_MALFORMED,
		"malformed: not an HTTP status (HTTP/1.1 65736 OK)"},
	{{.bytes = "220 relay ESMTP\x01\r\n", .deaf = true, .end = PEER_HOLD}, PROBE_MALFORMED,
		"malformed: not HTTP (220 relay ESMTP?)"},
	{{.bytes = "\0\0", .len = 2}, PROBE_MALFORMED, "malformed: not HTTP (?\?)"},
	{{.bytes = "HTTP/1.1 200 OK\r\nA: \0\r\n\r\n", .len = 24}, PROBE_MALFORMED,
		"malformed: control byte in the header (HTTP/1.1 200 OK)"},
	{{.bytes = "HTTP/1.1 100\r\n\r\n", .endless = true}, PROBE_MALFORMED,
		"malformed: header too long (HTTP/1.1 100)"},
};

START_TEST(endings)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct bench bench;
		bench_init(&bench, "127.0.0.1");
		bench.peer.script = rows[i].script;
		bench_start(&bench, "127.0.0.1");
		bench_run(&bench);
		ck_assert_msg(
			bench.cause == rows[i].cause && strcmp(bench.detail, rows[i].detail) == 0,
			"row %zu: %s, %s", i, probe_cause_name(bench.cause), bench.detail);
		/* The ordinary reply, with a body that comes late, too, ends without a reset. */
		if (rows[i].cause == PROBE_OK && rows[i].script.end == PEER_CLOSE)
			ck_assert_uint_eq(bench.peer.closed, 1);
		bench_fini(&bench);
	}
}
END_TEST

/* Reset by the kernel before the request, or while it is under way: reset, whichever call sees it.
 */
START_TEST(reset_after_accept)
{
	struct bench bench;
	bench_init(&bench, "127.0.0.1");
	bench.peer.script = (struct peer_script){.bytes = "", .deaf = true, .end = PEER_RESET};
	bench_start(&bench, "127.0.0.1");
	bench_run(&bench);
	ck_assert_int_eq(bench.cause, PROBE_RESET);
	ck_assert(strncmp(bench.detail, "reset: ", 7) == 0);
	bench_fini(&bench);
}
END_TEST

START_TEST(ipv6_and_request)
{
	struct bench bench;
	char expected[128];
	bench_init(&bench, "::1");
	bench.peer.script = (struct peer_script){.bytes = "HTTP/1.1 200 OK\r\n\r\n"};
	bench.check->path = "/health";
	bench_start(&bench, "::1");
	ck_assert(fcntl(bench.probe.io.fd, F_GETFD) & FD_CLOEXEC);
	ck_assert(fcntl(bench.probe.io.fd, F_GETFL) & O_NONBLOCK);
	bench_run(&bench);
	ck_assert_int_eq(bench.cause, PROBE_OK);
	snprintf(expected, sizeof(expected), "GET /health HTTP/1.1\r\nHost: [::1]:%u\r\n",
		bench.check->port);
	ck_assert(strncmp(bench.peer.request, expected, strlen(expected)) == 0);
	bench_fini(&bench);
}
END_TEST

/* A path that no socket buffer holds at once goes out in pieces. */
START_TEST(long_request)
{
	enum { LEN = 8 << 20 };
	struct bench bench;
	char *path = malloc(LEN + 1);
	memset(path, 'a', LEN);
	path[LEN] = '\0';
	bench_init(&bench, "127.0.0.1");
	bench.check->path = path;
	bench_start(&bench, "127.0.0.1");
	/* Read it all before the reply: only a whole request is followed by PHASE_REPLY. */
	bench.peer.script = (struct peer_script){.bytes = "", .deaf = true, .end = PEER_HOLD};
	while (bench.probe.phase != PHASE_REPLY)
		ev_run(bench.loop, EVRUN_ONCE);
	ck_assert_uint_gt(bench.probe.sent, LEN);
	bench_fini(&bench);
	free(path);
}
END_TEST

START_TEST(refused)
{
	struct bench bench;
	struct sockaddr_storage storage;
	struct endpoint endpoint = {.port = 0};
	socklen_t len;
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	bench_init(&bench, "127.0.0.1");
	/* Bound but not listening: refuses, and nobody else can take the port. */
	ck_assert_int_eq(addr_parse(&endpoint.addr, "127.0.0.1"), 0);
	len = endpoint_to_sockaddr(&endpoint, &storage);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&storage, len), 0);
	getsockname(fd, (struct sockaddr *)&storage, &len);
	endpoint_from_sockaddr(&endpoint, (struct sockaddr *)&storage);
	bench.check->port = endpoint.port;
	bench_start(&bench, "127.0.0.1");
	bench_run(&bench);
	ck_assert_int_eq(bench.cause, PROBE_REFUSED);
	ck_assert_str_eq(bench.detail, "refused: Connection refused");
	close(fd);
	bench_fini(&bench);
}
END_TEST

START_TEST(unreachable)
{
	struct bench bench;
	bench_init(&bench, "127.0.0.1");
	bench_start(&bench, "224.0.0.1"); /* no TCP to a group */
	bench_run(&bench);
	ck_assert_int_eq(bench.cause, PROBE_REFUSED);
	ck_assert_str_eq(bench.detail, "refused: Network is unreachable");
	bench_fini(&bench);
}
END_TEST

START_TEST(no_reply)
{
	struct bench bench;
	bench_init(&bench, "127.0.0.1");
	bench.check->timeout_ms = 30;
	bench.peer.script = (struct peer_script){.bytes = "", .end = PEER_HOLD};
	bench_start(&bench, "127.0.0.1");
	bench_run(&bench);
	ck_assert_int_eq(bench.cause, PROBE_TIMEOUT);
	ck_assert_str_eq(bench.detail, "timeout: no reply within 30ms");
	bench_fini(&bench);
}
END_TEST

/* The deadline is over the whole probe: a byte now and then does not move it. */
START_TEST(dripping_for_ever)
{
	static const char *const drips[] = {
		"HTTP/1.1 100 x\r\n\r\n", "HTTP/1.1 200 OK\r\nA: b\r\n"};

	for (size_t i = 0; i < 2; i++) {
		struct bench bench;
		bench_init(&bench, "127.0.0.1");
		bench.check->timeout_ms = i == 0 ? 500 : 1000;
		bench.peer.script = (struct peer_script){
			.bytes = drips[i], .drip = true, .endless = i == 0, .end = PEER_HOLD};
		bench_start(&bench, "127.0.0.1");
		bench_run(&bench);
		ck_assert_int_eq(bench.cause, PROBE_TIMEOUT);
		ck_assert_str_eq(bench.detail, i == 0 ? "timeout: no whole reply within 500ms"
						      : "timeout: no whole reply within 1s");
		bench_fini(&bench);
	}
}
END_TEST

/* A full accept queue drops the SYN. */
START_TEST(no_connection)
{
	struct bench bench;
	struct sockaddr_storage storage;
	socklen_t len;
	int fds[3];
	bench_init(&bench, "127.0.0.1");
	ev_io_stop(bench.loop, &bench.peer.accept);
	ck_assert_int_eq(listen(bench.peer.accept.fd, 0), 0);
	len = endpoint_to_sockaddr(&bench.peer.endpoint, &storage);
	for (int i = 0; i < 3; i++) {
		fds[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
		connect(fds[i], (struct sockaddr *)&storage, len);
	}
	bench.check->timeout_ms = 50;
	bench_start(&bench, "127.0.0.1");
	bench_run(&bench);
	ck_assert_int_eq(bench.cause, PROBE_TIMEOUT);
	ck_assert_str_eq(bench.detail, "timeout: no connection within 50ms");
	for (int i = 0; i < 3; i++)
		close(fds[i]);
	bench_fini(&bench);
}
END_TEST

/* The loop was held up until the deadline had passed, but the reply had come. */
START_TEST(late_loop)
{
	struct bench bench;
	struct timespec pause = {.tv_nsec = 600000000};
	bench_init(&bench, "127.0.0.1");
	bench.check->timeout_ms = 500;
	bench.peer.script =
		(struct peer_script){.bytes = "HTTP/1.1 200 OK\r\n\r\n", .end = PEER_HOLD};
	bench_start(&bench, "127.0.0.1");
	while (bench.peer.request[0] == '\0')
		ev_run(bench.loop, EVRUN_ONCE);
	ck_assert_uint_eq(bench.verdicts, 0);
	nanosleep(&pause, NULL); /* what holds the loop up */
	bench_run(&bench);
	ck_assert_int_eq(bench.cause, PROBE_OK);
	bench_fini(&bench);
}
END_TEST

/* A server that keeps the connection open costs a socket until the deadline, not the verdict. */
START_TEST(lingers_until_deadline)
{
	struct bench bench;
	bench_init(&bench, "127.0.0.1");
	bench.check->timeout_ms = 1000;
	bench.peer.script =
		(struct peer_script){.bytes = "HTTP/1.1 200 OK\r\n\r\n", .end = PEER_HOLD};
	bench_start(&bench, "127.0.0.1");
	bench_run(&bench);
	ck_assert_int_eq(bench.phase, PHASE_LINGER);
	ck_assert_int_eq(bench.cause, PROBE_OK);
	bench_fini(&bench);
}
END_TEST

START_TEST(endless_body)
{
	struct bench bench;
	static char page[200000];
	memset(page, 'a', sizeof(page));
	memcpy(page, "HTTP/1.1 200 OK\r\n\r\n", 19);
	bench_init(&bench, "127.0.0.1");
	bench.peer.script =
		(struct peer_script){.bytes = page, .len = sizeof(page), .endless = true};
	bench_start(&bench, "127.0.0.1");
	bench_run(&bench);
	ck_assert_int_eq(bench.cause, PROBE_OK);
	ck_assert_uint_gt(bench.probe.lingered, PROBE_LINGER_MAX);
	ck_assert_uint_lt(bench.probe.lingered, 2 * PROBE_LINGER_MAX);
	bench_fini(&bench);
}
END_TEST

/* A new probe cuts one that lingers; a stopped one gives no verdict. */
START_TEST(restart_and_stop)
{
	struct bench bench;
	bench_init(&bench, "127.0.0.1");
	bench.peer.script =
		(struct peer_script){.bytes = "HTTP/1.1 200 OK\r\n\r\n", .end = PEER_HOLD};
	bench_start(&bench, "127.0.0.1");
	while (bench.verdicts == 0)
		ev_run(bench.loop, EVRUN_ONCE);
	bench_start(&bench, "127.0.0.1");
	ck_assert_uint_eq(bench.snapshot.refs, 2);
	while (bench.verdicts == 1)
		ev_run(bench.loop, EVRUN_ONCE);
	bench.peer.script = (struct peer_script){.bytes = "", .end = PEER_HOLD};
	bench_start(&bench, "127.0.0.1");
	while (bench.probe.phase != PHASE_REPLY)
		ev_run(bench.loop, EVRUN_ONCE);
	bench_fini(&bench);
	ck_assert_uint_eq(bench.verdicts, 2);
	ck_assert_uint_eq(bench.peer.accepted, 3);
}
END_TEST

START_TEST(no_descriptors)
{
	struct bench bench;
	struct rlimit limit, none;
	bench_init(&bench, "127.0.0.1");
	bench.peer.script = (struct peer_script){.bytes = "HTTP/1.1 200 OK\r\n\r\n"};
	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
	none = limit;
	none.rlim_cur = 0;
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
	bench_start(&bench, "127.0.0.1");
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
	bench_run(&bench);
	ck_assert_int_eq(bench.cause, PROBE_RESOURCES);
	ck_assert_str_eq(bench.detail, "resources: Too many open files");
	bench_fini(&bench);
}
END_TEST

/* SMTP. A good greeting is followed by our QUIT and lingering, any other end by a close. */

#define QUIT "QUIT\r\n"
#define X10 "xxxxxxxxxx"
#define X100 X10 X10 X10 X10 X10 X10 X10 X10 X10 X10
#define X199 X100 X10 X10 X10 X10 X10 X10 X10 X10 X10 "xxxxxxxxx"
#define X400 X100 X100 X100 X100

static const struct {
	struct peer_script script;
	enum probe_cause cause;
	const char *detail;
	const char *said;
} smtp_rows[] = {
	{{.bytes = "220 relay ESMTP\r\n", .deaf = true}, PROBE_OK, "220", QUIT},
	{{.bytes = "220\n", .deaf = true}, PROBE_OK, "220", QUIT},
	{{.bytes = "220-relay\r\n220-more\r\n220 relay\r\n", .deaf = true}, PROBE_OK, "220", QUIT},
	{{.bytes = "220-wait\r\n220 relay\r\n221 bye\r\n", .deaf = true}, PROBE_OK, "220", QUIT},
	{{.bytes = "421 4.3.2 too busy\r\n", .deaf = true}, PROBE_REPLY,
		"reply: 421 4.3.2 too busy", QUIT},
	{{.bytes = "554-go\r\n554 away\r\n", .deaf = true}, PROBE_REPLY, "reply: 554-go", QUIT},
	{{.bytes = "221 \x01\xff\x7f\"~\r\n", .deaf = true}, PROBE_REPLY, "reply: 221 ?\?\?\"~",
		QUIT},
	{{.bytes = "", .deaf = true}, PROBE_CLOSED, "closed: without a greeting", ""},
	{{.bytes = "220-relay\r\n", .deaf = true}, PROBE_CLOSED,
		"closed: in the middle of the greeting", ""},
	{{.bytes = "220 relay\r", .deaf = true}, PROBE_CLOSED,
		"closed: in the middle of the greeting", ""},
	{{.bytes = "220-relay\r\n", .deaf = true, .end = PEER_RESET}, PROBE_RESET,
		"reset: Connection reset by peer", ""},
	{{.bytes = "220-relay\r\n421 no\r\n", .deaf = true, .end = PEER_HOLD}, PROBE_MALFORMED,
		"malformed: not a greeting (220-relay)", ""},
	{{.bytes = "SSH-2.0-x\r\nmore", .deaf = true, .end = PEER_HOLD}, PROBE_MALFORMED,
		"malformed: not a greeting (SSH-2.0-x?)", ""},
	{{.bytes = "2" X400, .deaf = true, .end = PEER_HOLD}, PROBE_MALFORMED,
		"malformed: not a greeting (2" X199 ")", ""},
	{{.bytes = "22x\n", .deaf = true, .end = PEER_HOLD}, PROBE_MALFORMED,
		"malformed: not a greeting (22x)", ""},
	{{.bytes = "2200 x\r\n", .deaf = true, .end = PEER_HOLD}, PROBE_MALFORMED,
		"malformed: not a greeting (220)", ""},
	{{.bytes = "220-a\r\n", .deaf = true, .endless = true}, PROBE_MALFORMED,
		"malformed: greeting too long (220-a)", ""},
};

static void
smtp_row(size_t i, bool drip)
{
	struct bench bench;
	bench_init(&bench, "127.0.0.1");
	bench.check->type = CHECK_SMTP;
	bench.peer.script = smtp_rows[i].script;
	bench.peer.script.drip = drip && !bench.peer.script.endless;
	bench_start(&bench, "127.0.0.1");
	bench_run(&bench);
	const struct peer *peer = &bench.peer;
	/* Of what is no greeting the log shows what came with its first wrong byte. */
	bool shown = !drip || bench.cause != PROBE_MALFORMED;
	size_t compared = shown ? SIZE_MAX : strcspn(smtp_rows[i].detail, "(");
	ck_assert_msg(bench.cause == smtp_rows[i].cause &&
			      strncmp(bench.detail, smtp_rows[i].detail, compared) == 0,
		"row %zu: %s, %s", i, probe_cause_name(bench.cause), bench.detail);
	ck_assert_msg(peer->said_len == strlen(smtp_rows[i].said) &&
			      memcmp(peer->said, smtp_rows[i].said, peer->said_len) == 0,
		"row %zu: %zu bytes said", i, peer->said_len);
	if (drip && smtp_rows[i].cause == PROBE_OK &&
		i != 3) /* there the last piece is no greeting */
		ck_assert_uint_eq(peer->early, 0);
	if (bench.cause == PROBE_OK || bench.cause == PROBE_REPLY)
		ck_assert_uint_eq(peer->closed, 1);
	bench_fini(&bench);
}

START_TEST(smtp_endings)
{
	smtp_row((size_t)_i / 2, _i % 2);
}
END_TEST

static const struct {
	enum check_type type;
	enum proxy_version proxy;
	const char *host;
	bool other_port;     /* the backend's own is not the one that is checked */
	const char *opening; /* in version 1 without the ports */
	size_t len;          /* of one with zeros in it */
} openings[] = {
	{CHECK_SMTP, PROXY_OFF, "127.0.0.1", false, "", 0},
	{CHECK_SMTP, PROXY_V1, "127.0.0.1", false, "PROXY TCP4 127.0.0.1 127.0.0.1", 0},
	{CHECK_SMTP, PROXY_V1, "::1", true, "PROXY TCP6 ::1 ::1", 0},
	{CHECK_SMTP, PROXY_V2, "127.0.0.1", true, "\r\n\r\n\0\r\nQUIT\n\x20\0\0\0", 16},
	{CHECK_SMTP, PROXY_V2, "::1", false, "\r\n\r\n\0\r\nQUIT\n\x20\0\0\0", 16},
	{CHECK_TCP, PROXY_OFF, "127.0.0.1", false, "", 0},
	{CHECK_TCP, PROXY_V1, "127.0.0.1", false, "PROXY TCP4 127.0.0.1 127.0.0.1", 0},
	{CHECK_TCP, PROXY_V2, "::1", false, "\r\n\r\n\0\r\nQUIT\n\x20\0\0\0", 16},
	{CHECK_TCP, PROXY_V1, "127.0.0.1", true, "", 0},
	{CHECK_TCP, PROXY_V2, "127.0.0.1", true, "", 0},
};

/* The header is the first thing, in one piece before the greeting; port is the probe's. */
START_TEST(proxy_header)
{
	struct bench bench;
	char expected[128];
	bench_init(&bench, openings[_i].host);
	bench.check->type = openings[_i].type;
	bench.pool.proxy = openings[_i].proxy;
	bench.backend.port = openings[_i].other_port ? 1 : bench.check->port;
	bench.peer.script = (struct peer_script){
		.bytes = "220 relay ESMTP\r\n", .deaf = true, .drip = true, .end = PEER_HOLD};
	bench_start(&bench, openings[_i].host);
	struct sockaddr_storage storage;
	struct endpoint own;
	socklen_t own_len = sizeof(storage);
	getsockname(bench.probe.io.fd, (struct sockaddr *)&storage, &own_len);
	endpoint_from_sockaddr(&own, (struct sockaddr *)&storage);
	while (bench.verdicts == 0)
		ev_run(bench.loop, EVRUN_ONCE);
	probe_stop(&bench.probe);
	bench_run(&bench);
	ck_assert_int_eq(bench.cause, PROBE_OK);
	size_t len = openings[_i].len;
	if (len > 0)
		memcpy(expected, openings[_i].opening, len);
	else if (openings[_i].opening[0])
		len = (size_t)snprintf(expected, sizeof(expected), "%s %u %u\r\n",
			openings[_i].opening, own.port, bench.check->port);
	if (openings[_i].type == CHECK_SMTP) {
		ck_assert_uint_eq(bench.peer.early, len);
		memcpy(expected + len, QUIT, strlen(QUIT));
		len += strlen(QUIT);
	} else {
		ck_assert_str_eq(bench.detail, "connected");
	}
	ck_assert_uint_eq(bench.peer.said_len, len);
	ck_assert_mem_eq(bench.peer.said, expected, len);
	bench_fini(&bench);
}
END_TEST

/* One deadline: over the connection, each of a greeting's bytes, and the relay's leave. */
START_TEST(smtp_deadline)
{
	static const struct {
		struct peer_script script;
		enum probe_cause cause;
		const char *detail;
	} timeouts[] = {
		{{.bytes = ""}, PROBE_TIMEOUT, "timeout: no greeting within 300ms"},
		{{.bytes = "220-relay\r\n"}, PROBE_TIMEOUT,
			"timeout: no whole greeting within 300ms"},
		{{.bytes = "220-\r\n", .drip = true, .endless = true}, PROBE_TIMEOUT,
			"timeout: no whole greeting within 300ms"},
		{{.bytes = "220 relay\r\n"}, PROBE_OK, "220"},
	};
	struct bench bench;
	bench_init(&bench, "127.0.0.1");
	bench.check->type = CHECK_SMTP;
	bench.check->timeout_ms = 300;
	bench.peer.script = timeouts[_i].script;
	bench.peer.script.deaf = true;
	bench.peer.script.end = PEER_HOLD;
	bench_start(&bench, "127.0.0.1");
	bench_run(&bench);
	ck_assert_int_eq(bench.cause, timeouts[_i].cause);
	ck_assert_str_eq(bench.detail, timeouts[_i].detail);
	bench_fini(&bench);
}
END_TEST

/* Without an answer to await, a connection is a verdict, and the close comes at once. */
START_TEST(tcp_refused_and_connected)
{
	struct bench bench;
	bench_init(&bench, "127.0.0.1");
	bench.check->type = CHECK_TCP;
	bench.peer.script = (struct peer_script){.bytes = "", .end = PEER_HOLD};
	bench_start(&bench, "127.0.0.1");
	bench_run(&bench);
	ck_assert_int_eq(bench.cause, PROBE_OK);
	ck_assert_int_eq(bench.phase, PHASE_IDLE);
	ck_assert_uint_eq(bench.peer.closed, 1);
	ck_assert_str_eq(bench.peer.request, "");
	peer_fini(&bench.peer);
	bench.verdicts = 0;
	bench_start(&bench, "127.0.0.1");
	bench_run(&bench);
	ck_assert_int_eq(bench.cause, PROBE_REFUSED);
	peer_init(&bench.peer, bench.loop, "127.0.0.1");
	bench_fini(&bench);
}
END_TEST

static void
fill(TCase *cases)
{
	tcase_add_test(cases, endings);
	tcase_add_test(cases, reset_after_accept);
	tcase_add_test(cases, ipv6_and_request);
	tcase_add_test(cases, long_request);
	tcase_add_test(cases, refused);
	tcase_add_test(cases, unreachable);
	tcase_add_test(cases, no_reply);
	tcase_add_test(cases, dripping_for_ever);
	tcase_add_test(cases, no_connection);
	tcase_add_test(cases, late_loop);
	tcase_add_test(cases, lingers_until_deadline);
	tcase_add_test(cases, endless_body);
	tcase_add_test(cases, restart_and_stop);
	tcase_add_test(cases, no_descriptors);
	tcase_add_loop_test(cases, smtp_endings, 0, 2 * sizeof(smtp_rows) / sizeof(smtp_rows[0]));
	tcase_add_loop_test(cases, proxy_header, 0, sizeof(openings) / sizeof(openings[0]));
	tcase_add_loop_test(cases, smtp_deadline, 0, 4);
	tcase_add_test(cases, tcp_refused_and_connected);
}

UNIT_MAIN("probe", fill)

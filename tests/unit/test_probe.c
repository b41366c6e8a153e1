/*
 * One probe against a scripted peer on loopback: every way in which it can end, and that each has
 * one cause. Nothing here measures time: the loop runs until the event came.
 */
#include "tests/unit/unit.h"
#include "tests/unit/http_peer.h"

#include "health/probe.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <time.h>

/* Everything that one probe needs, and what it said. */
struct bench {
	struct ev_loop *loop;
	struct peer peer;
	struct snapshot snapshot;
	struct status_range status[2];
	struct check_conf check;
	struct addr source;
	struct probe probe;
	unsigned verdicts;
	enum probe_phase phase; /* at the verdict */
	enum probe_cause cause;
	char detail[256];
};

static void
on_done(void *context, const struct probe_result *result)
{
	struct bench *bench = context;

	bench->verdicts++;
	bench->phase = bench->probe.phase;
	bench->cause = result->cause;
	snprintf(bench->detail, sizeof(bench->detail), "%s", result->detail);
}

static void
bench_init(struct bench *bench, const char *host)
{
	*bench = (struct bench){
		.loop = ev_loop_new(0),
		.snapshot = {.refs = 1},
		.status = {{200, 299}, {302, 302}},
		.check = {.type = CHECK_HTTP,
			.path = "/",
			.host = "",
			.status_count = 2,
			.timeout_ms = 20000},
	};
	bench->check.status = bench->status;
	peer_init(&bench->peer, bench->loop, host);
	bench->check.port = bench->peer.endpoint.port;
	probe_init(&bench->probe, bench->loop, on_done, bench);
}

static void
bench_start(struct bench *bench, const char *host)
{
	struct addr address;

	ck_assert_int_eq(addr_parse(&address, host), 0);
	probe_start(&bench->probe, &bench->snapshot, &bench->check, &address, &bench->source);
}

/* Runs until the probe is over, lingering included, and no connection is left at the peer. */
static void
bench_run(struct bench *bench)
{
	while (bench->probe.phase != PHASE_IDLE || bench->peer.open > 0)
		ev_run(bench->loop, EVRUN_ONCE);
	ck_assert_uint_eq(bench->verdicts, 1);
	ck_assert_int_eq(bench->probe.io.fd, -1);
	ck_assert_uint_eq(bench->snapshot.refs, 1);
}

static void
bench_fini(struct bench *bench)
{
	probe_stop(&bench->probe);
	while (bench->peer.open > 0)
		ev_run(bench->loop, EVRUN_ONCE);
	ck_assert_uint_eq(bench->snapshot.refs, 1);
	peer_fini(&bench->peer);
	ev_loop_destroy(bench->loop);
}

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
	bench.check.path = "/health";
	bench_start(&bench, "::1");
	ck_assert(fcntl(bench.probe.io.fd, F_GETFD) & FD_CLOEXEC);
	ck_assert(fcntl(bench.probe.io.fd, F_GETFL) & O_NONBLOCK);
	bench_run(&bench);
	ck_assert_int_eq(bench.cause, PROBE_OK);
	snprintf(expected, sizeof(expected), "GET /health HTTP/1.1\r\nHost: [::1]:%u\r\n",
		bench.check.port);
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
	bench.check.path = path;
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
	bench.check.port = endpoint.port;
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
	bench.check.timeout_ms = 30;
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
		bench.check.timeout_ms = i == 0 ? 500 : 1000;
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
	bench.check.timeout_ms = 50;
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
	bench.check.timeout_ms = 500;
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
	bench.check.timeout_ms = 1000;
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
}

UNIT_MAIN("probe", fill)

/*
 * A probe whose own calls fail: what is ours to blame says nothing about the backend, what passes
 * costs nothing, and none hangs.
 */
#include "tests/unit/faults.h"
#include "tests/unit/probe_bench.h"
#include "tests/unit/unit.h"

static const struct {
	const char *call;
	unsigned number; /* which of them fails: the peer's count as well */
	int error;
	enum probe_cause cause;
} rows[] = {
	{"socket", 1, EMFILE, PROBE_RESOURCES},
	{"socket", 1, ENFILE, PROBE_RESOURCES},
	{"socket", 1, ENOBUFS, PROBE_RESOURCES},
	{"socket", 1, ENOMEM, PROBE_RESOURCES},
	{"connect", 1, EADDRNOTAVAIL, PROBE_RESOURCES},
	{"connect", 1, EAGAIN, PROBE_RESOURCES},
	{"connect", 1, ENETUNREACH, PROBE_REFUSED},
	{"connect", 1, 0, PROBE_OK}, /* it stands at once */
	{"epoll_ctl", 1, ENOMEM, PROBE_RESOURCES},
	{"epoll_ctl", 1, ENOSPC, PROBE_RESOURCES},
	{"getsockname", 1, ENOBUFS, PROBE_RESOURCES},
	{"send", 1, ENOBUFS, PROBE_RESOURCES},
	{"send", 1, EPIPE, PROBE_RESET},
	{"send", 1, EAGAIN, PROBE_OK},
	{"send", 1, EINTR, PROBE_OK},
	{"recv", 2, ENOMEM, PROBE_RESOURCES},
	{"recv", 2, ETIMEDOUT, PROBE_TIMEOUT},
	{"recv", 2, EAGAIN, PROBE_OK},
	{"recv", 2, EINTR, PROBE_OK},
};

static void
init(struct bench *bench, enum peer_end end)
{
	bench_init(bench, "127.0.0.1");
	bench->check->type = CHECK_SMTP;
	bench->pool.proxy = PROXY_V2;
	bench->backend.port = bench->check->port;
	bench->peer.script =
		(struct peer_script){.bytes = "220 relay ESMTP\r\n", .deaf = true, .end = end};
	ev_run(bench->loop, EVRUN_NOWAIT); /* the peer is watched */
}

START_TEST(failing_calls)
{
	struct bench bench;
	init(&bench, PEER_CLOSE);
	fault_order(rows[_i].call, rows[_i].error, rows[_i].number, rows[_i].number);
	bench_start(&bench, "127.0.0.1");
	if (rows[_i].number == 1) { /* the peer does nothing before */
		ev_io_stop(bench.loop, &bench.peer.accept);
		while (faults[0].seen == 0)
			ev_run(bench.loop, EVRUN_ONCE);
		ev_io_start(bench.loop, &bench.peer.accept);
	}
	bench_run(&bench);
	ck_assert_uint_ge(faults[0].seen, rows[_i].number);
	ck_assert_int_eq(bench.cause, rows[_i].cause);
	bench_fini(&bench);
}
END_TEST

/* Its verdict is out, and is the only one. */
START_TEST(lost_watch_while_it_lingers)
{
	struct bench bench;
	init(&bench, PEER_HOLD);
	bench_start(&bench, "127.0.0.1");
	while (bench.verdicts == 0)
		ev_run(bench.loop, EVRUN_ONCE);
	ck_assert_int_eq(bench.probe.phase, PHASE_LINGER);
	/* The loop makes its epoll anew: the listening socket, the probe's, the peer's. */
	fault_order("epoll_ctl", ENOMEM, 2, 2);
	ev_loop_fork(bench.loop);
	while (faults[0].seen < 2)
		ev_run(bench.loop, EVRUN_NOWAIT);
	ck_assert_int_eq(bench.probe.phase, PHASE_IDLE);
	bench_run(&bench);
	ck_assert_int_eq(bench.cause, PROBE_OK);
	bench_fini(&bench);
}
END_TEST

static void
fill(TCase *cases)
{
	tcase_add_loop_test(cases, failing_calls, 0, sizeof(rows) / sizeof(rows[0]));
	tcase_add_test(cases, lost_watch_while_it_lingers);
}

UNIT_MAIN("probe_faults", fill)

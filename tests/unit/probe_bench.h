/*
 * One probe, the scripted peer on loopback that it tries, and what it said.
 */
#ifndef TESTS_UNIT_PROBE_BENCH_H
#define TESTS_UNIT_PROBE_BENCH_H

#include "tests/unit/http_peer.h"

#include "health/probe.h"

/* Everything that one probe needs, and what it said. */
struct bench {
	struct ev_loop *loop;
	struct peer peer;
	struct snapshot snapshot;
	struct status_range status[2];
	struct pool_conf pool;
	struct backend_conf backend;
	struct check_conf *check; /* the pool's */
	struct probe probe;
	unsigned verdicts;
	enum probe_phase phase; /* at the verdict */
	enum probe_cause cause;
	char detail[256];
};

static inline void
on_done(void *context, const struct probe_result *result)
{
	struct bench *bench = context;
	bench->verdicts++;
	bench->phase = bench->probe.phase;
	bench->cause = result->cause;
	snprintf(bench->detail, sizeof(bench->detail), "%s", result->detail);
}

static inline void
bench_init(struct bench *bench, const char *host)
{
	*bench = (struct bench){
		.loop = ev_loop_new(0),
		.snapshot = {.refs = 1},
		.status = {{200, 299}, {302, 302}},
		.pool.check = {.type = CHECK_HTTP,
			.path = "/",
			.host = "",
			.status_count = 2,
			.timeout_ms = 20000},
	};
	bench->check = &bench->pool.check;
	bench->check->status = bench->status;
	peer_init(&bench->peer, bench->loop, host);
	bench->check->port = bench->peer.endpoint.port;
	probe_init(&bench->probe, bench->loop, on_done, bench);
}

static inline void
bench_start(struct bench *bench, const char *host)
{
	ck_assert_int_eq(addr_parse(&bench->backend.address, host), 0);
	probe_start(&bench->probe, &bench->snapshot, &bench->pool, &bench->backend);
}

/* Runs until the probe is over, lingering included, and no connection is left at the peer. */
static inline void
bench_run(struct bench *bench)
{
	while (bench->probe.phase != PHASE_IDLE || bench->peer.open > 0)
		ev_run(bench->loop, EVRUN_ONCE);
	ck_assert_uint_eq(bench->verdicts, 1);
	ck_assert_int_eq(bench->probe.io.fd, -1);
	ck_assert_uint_eq(bench->snapshot.refs, 1);
}

static inline void
bench_fini(struct bench *bench)
{
	probe_stop(&bench->probe);
	while (bench->peer.open > 0)
		ev_run(bench->loop, EVRUN_ONCE);
	ck_assert_uint_eq(bench->snapshot.refs, 1);
	peer_fini(&bench->peer);
	ev_loop_destroy(bench->loop);
}

#endif

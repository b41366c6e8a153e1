/*
 * The checkers against a scripted peer on loopback: rise and fall, first probes, reloads. Nothing
 * here measures time: the loop runs until the event came.
 */
#include "tests/unit/faults.h"
#include "tests/unit/http_peer.h"
#include "tests/unit/unit.h"

#include "health/health.h"

#include <sys/resource.h>

enum {
	BACKENDS_MAX = 30,
};

static const char good[] = "HTTP/1.1 200 OK\r\n\r\n";
static const char bad[] = "HTTP/1.1 503 Service Unavailable\r\n\r\n";

/* One pool in a snapshot that nobody but the test frees. */
struct config {
	struct snapshot snapshot;
	struct pool_conf pool;
	struct backend_conf backends[BACKENDS_MAX];
	char names[BACKENDS_MAX][8];
	struct status_range status;
};

struct bench {
	struct ev_loop *loop;
	struct peer peer;
	struct config config;
	struct health *health;
	unsigned probes, changes;
	unsigned starve_at; /* no descriptor is left after so many probes */
	unsigned probed;    /* bit N: a probe of 127.0.0.N finished */
	bool up;            /* the last change */
	enum probe_cause cause;
	char detail[256];
	char backend[16];
};

static void
config_fill(struct config *config, const struct bench *bench, unsigned count)
{
	*config = (struct config){
		.snapshot = {.pools = &config->pool, .pool_count = 1, .refs = 1},
		.pool = {.name = "relays",
			.check = {.type = CHECK_HTTP,
				.port = bench->peer.endpoint.port,
				.path = "/",
				.host = "",
				.status = &config->status,
				.status_count = 1,
				.interval_ms = 10,
				.timeout_ms = 20000,
				.rise = 2,
				.fall = 3},
			.backends = config->backends,
			.backend_count = count},
		.status = {200, 200},
	};
	for (unsigned i = 0; i < count; i++) {
		snprintf(config->names[i], sizeof(config->names[i]), "relay%u", i + 1);
		config->backends[i].name = config->names[i];
		config->backends[i].address = (struct addr){ADDR_V4, {127, 0, 0, (uint8_t)(i + 1)}};
	}
}

static void
descriptors_limit(rlim_t limit)
{
	struct rlimit limits;
	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limits), 0);
	limits.rlim_cur = limit;
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limits), 0);
}

static void
on_probe(void *context, const char *pool, const char *backend, const struct addr *address,
	const struct probe_result *result)
{
	struct bench *bench = context;
	ck_assert_str_eq(pool, "relays");
	ck_assert_str_ne(backend, "");
	if (++bench->probes == bench->starve_at)
		descriptors_limit(0);
	bench->probed |= 1u << address->bytes[3];
	bench->cause = result->cause;
	snprintf(bench->detail, sizeof(bench->detail), "%s", result->detail);
}

static void
on_change(void *context, const char *pool, const char *backend, const struct addr *address, bool up,
	const struct probe_result *result)
{
	struct bench *bench = context;
	ck_assert(health_is_up(bench->health, pool, backend, address) == up);
	bench->changes++;
	bench->up = up;
	bench->cause = result->cause;
	snprintf(bench->detail, sizeof(bench->detail), "%s", result->detail);
	snprintf(bench->backend, sizeof(bench->backend), "%s", backend);
}

static void
bench_init(struct bench *bench, unsigned count, const char *script)
{
	static const struct health_events events = {on_change, on_probe};
	*bench = (struct bench){.loop = ev_loop_new(0)};
	peer_init(&bench->peer, bench->loop, "0.0.0.0");
	bench->peer.script.bytes = script;
	config_fill(&bench->config, bench, count);
	bench->health = health_new(bench->loop, &events, bench);
}

static void
bench_fini(struct bench *bench)
{
	unsigned probes = bench->probes;
	health_free(bench->health);
	while (bench->peer.open > 0)
		ev_run(bench->loop, EVRUN_ONCE);
	ck_assert_uint_eq(bench->probes, probes);
	ck_assert_uint_eq(bench->config.snapshot.refs, 1);
	peer_fini(&bench->peer);
	ev_loop_destroy(bench->loop);
}

/* Runs until so many probes more have finished. */
static void
bench_probes(struct bench *bench, unsigned more)
{
	unsigned goal = bench->probes + more;
	while (bench->probes < goal)
		ev_run(bench->loop, EVRUN_ONCE);
}

static bool
is_up(const struct bench *bench, unsigned backend)
{
	return health_is_up(bench->health, "relays", bench->config.names[backend],
		&bench->config.backends[backend].address);
}

START_TEST(rise_and_fall)
{
	struct bench bench;
	bench_init(&bench, 1, bad);
	ck_assert(is_up(&bench, 0)); /* unknown */
	health_configure(bench.health, &bench.config.snapshot);
	bench_probes(&bench, 2);
	ck_assert(is_up(&bench, 0));
	ck_assert_uint_eq(bench.changes, 0);
	bench_probes(&bench, 1);
	ck_assert(!is_up(&bench, 0));
	ck_assert_uint_eq(bench.changes, 1);
	ck_assert(!bench.up);
	ck_assert_int_eq(bench.cause, PROBE_STATUS);
	ck_assert_str_eq(bench.detail, "status 503");
	ck_assert_str_eq(bench.backend, "relay1");
	bench.peer.script.bytes = good;
	bench_probes(&bench, 1);
	ck_assert(!is_up(&bench, 0));
	bench_probes(&bench, 1);
	ck_assert(is_up(&bench, 0));
	ck_assert_uint_eq(bench.changes, 2);
	ck_assert(bench.up);
	ck_assert_str_eq(bench.detail, "200");
	bench_fini(&bench);
}
END_TEST

/* With an interval that never comes, what arrives are the first probes of all. */
START_TEST(first_probes_at_once)
{
	struct bench bench;
	unsigned all = (1u << (BACKENDS_MAX + 1)) - 2;
	bench_init(&bench, BACKENDS_MAX, good);
	bench.config.pool.check.interval_ms = 1000000000;
	health_configure(bench.health, &bench.config.snapshot);
	bench_probes(&bench, BACKENDS_MAX);
	ck_assert_uint_eq(bench.probed, all);
	ck_assert_uint_eq(bench.peer.hosts, all);
	ck_assert_uint_eq(bench.peer.accepted, BACKENDS_MAX);
	bench_fini(&bench);
}
END_TEST

/* Probes longer than the interval: the next one waits for its next turn. */
START_TEST(no_overlap)
{
	struct bench bench;
	bench_init(&bench, 1, "");
	bench.peer.script.end = PEER_HOLD;
	bench.config.pool.check.timeout_ms = 35;
	health_configure(bench.health, &bench.config.snapshot);
	while (bench.probes < 5) {
		ev_run(bench.loop, EVRUN_ONCE);
		ck_assert_uint_le(bench.peer.accepted, bench.probes + 1);
	}
	ck_assert_int_eq(bench.cause, PROBE_TIMEOUT);
	ck_assert_uint_eq(bench.changes, 1);
	bench_fini(&bench);
}
END_TEST

/* No descriptor here says nothing about the backend: neither a failure nor the end of a run. */
START_TEST(resources_do_not_count)
{
	struct bench bench;
	bench_init(&bench, 1, bad);
	bench.starve_at = 2;
	health_configure(bench.health, &bench.config.snapshot);
	bench_probes(&bench, 6);
	ck_assert_int_eq(bench.cause, PROBE_RESOURCES);
	ck_assert(is_up(&bench, 0));
	descriptors_limit(1024);
	bench_probes(&bench, 1);
	ck_assert_int_eq(bench.cause, PROBE_STATUS);
	ck_assert(!is_up(&bench, 0));
	bench_fini(&bench);
}
END_TEST

static void
on_give_up(struct ev_loop *loop, struct ev_timer *timer, int events)
{
	(void)loop;
	(void)events;
	*(bool *)timer->data = true;
}

/* A probe that the loop can't watch is over at once, and not when its time is up. */
START_TEST(unwatched_is_told_at_once)
{
	struct bench bench;
	struct ev_timer give_up;
	bool gave_up = false;
	bench_init(&bench, 1, good);
	bench.config.pool.check.interval_ms = 1000000000;
	ev_io_stop(bench.loop, &bench.peer.accept); /* nothing else wakes the loop */
	health_configure(bench.health, &bench.config.snapshot);
	ev_run(bench.loop, EVRUN_NOWAIT);
	fault_order("epoll_ctl", ENOMEM, 1, 1);
	ev_timer_init(&give_up, on_give_up, 10, 0);
	give_up.data = &gave_up;
	ev_timer_start(bench.loop, &give_up);
	bench_probes(&bench, 1);
	ck_assert(!gave_up);
	ck_assert_int_eq(bench.cause, PROBE_RESOURCES);
	ck_assert(is_up(&bench, 0));
	ev_timer_stop(bench.loop, &give_up);
	bench_fini(&bench);
}
END_TEST

/* State and run survive a reload, also of an interval that never came to its end. */
START_TEST(reload_keeps_state)
{
	struct bench bench;
	struct config next;
	bench_init(&bench, 2, bad);
	health_configure(bench.health, &bench.config.snapshot);
	while (bench.changes < 2)
		ev_run(bench.loop, EVRUN_ONCE);
	config_fill(&next, &bench, 3); /* one joins */
	next.pool.check.interval_ms = 1000000000;
	health_configure(bench.health, &next.snapshot);
	ck_assert(!is_up(&bench, 0) && !is_up(&bench, 1));
	ck_assert(health_is_up(bench.health, "relays", "relay3", &next.backends[2].address));
	bench.probed = 0;
	while (!(bench.probed & 1 << 3))
		ev_run(bench.loop, EVRUN_ONCE);

	bench.peer.script.bytes = good;
	bench.config.pool.check.rise = 1;
	bench.config.pool.check.path = "/new";
	bench.config.backends[1].address.bytes[3] = 9; /* another key: starts anew */
	health_configure(bench.health, &bench.config.snapshot);
	ck_assert(!is_up(&bench, 0));
	ck_assert(is_up(&bench, 1));
	while (!is_up(&bench, 0))
		ev_run(bench.loop, EVRUN_ONCE);
	ck_assert(strncmp(bench.peer.request, "GET /new ", 9) == 0);
	ck_assert_str_eq(bench.backend, "relay1");
	while (next.snapshot.refs > 1)
		ev_run(bench.loop, EVRUN_ONCE);
	bench_fini(&bench);
}
END_TEST

/* A shorter interval holds at once, not only when the long one is over. */
START_TEST(reload_shorter_interval)
{
	struct bench bench;
	struct config next;
	bench_init(&bench, 1, good);
	bench.config.pool.check.interval_ms = 1000000000;
	health_configure(bench.health, &bench.config.snapshot);
	bench_probes(&bench, 1);
	config_fill(&next, &bench, 1);
	health_configure(bench.health, &next.snapshot);
	bench_probes(&bench, 3);
	bench_fini(&bench);
	ck_assert_uint_eq(next.snapshot.refs, 1);
}
END_TEST

/* A probe under way when the settings change ends by the old ones, which live for so long. */
START_TEST(reload_under_a_probe)
{
	struct bench bench;
	struct config next;
	bench_init(&bench, 1, "");
	bench.peer.script.end = PEER_HOLD;
	bench.config.pool.check.timeout_ms = 300;
	health_configure(bench.health, &bench.config.snapshot);
	while (bench.peer.accepted == 0)
		ev_run(bench.loop, EVRUN_ONCE);
	config_fill(&next, &bench, 1);
	next.pool.check.timeout_ms = 301;
	health_configure(bench.health, &next.snapshot);
	ck_assert_uint_eq(bench.config.snapshot.refs, 2);
	bench_probes(&bench, 1);
	ck_assert_str_eq(bench.detail, "timeout: no reply within 300ms");
	ck_assert_uint_eq(bench.config.snapshot.refs, 1);
	bench_probes(&bench, 1);
	ck_assert_str_eq(bench.detail, "timeout: no reply within 301ms");
	bench_fini(&bench);
	ck_assert_uint_eq(next.snapshot.refs, 1);
}
END_TEST

/* A backend that is gone is probed no more; a probe under way ends without a word. */
START_TEST(reload_drops)
{
	struct bench bench;
	struct config next;
	bench_init(&bench, 3, "");
	bench.peer.script.end = PEER_HOLD;
	health_configure(bench.health, &bench.config.snapshot);
	while (bench.peer.open < 3)
		ev_run(bench.loop, EVRUN_ONCE);
	config_fill(&next, &bench, 0);
	health_configure(bench.health, &next.snapshot);
	while (bench.peer.open > 0)
		ev_run(bench.loop, EVRUN_ONCE);
	ck_assert_uint_eq(bench.probes, 0);
	ck_assert_uint_eq(bench.config.snapshot.refs, 1);
	bench.peer.script.bytes = good;
	health_configure(bench.health, &bench.config.snapshot);
	bench_probes(&bench, 3);
	bench_fini(&bench);
	ck_assert_uint_eq(next.snapshot.refs, 1);
}
END_TEST

START_TEST(reload_to_none_and_back)
{
	struct bench bench;
	struct config none;
	bench_init(&bench, 1, bad);
	health_configure(bench.health, &bench.config.snapshot);
	while (bench.changes == 0)
		ev_run(bench.loop, EVRUN_ONCE);
	config_fill(&none, &bench, 1);
	none.pool.check.type = CHECK_NONE;
	health_configure(bench.health, &none.snapshot);
	ck_assert_uint_eq(bench.changes, 2);
	ck_assert(bench.up);
	ck_assert_int_eq(bench.cause, PROBE_OK);
	ck_assert_str_eq(bench.detail, "no check");
	ck_assert(is_up(&bench, 0));
	health_configure(bench.health, &none.snapshot);
	ck_assert_uint_eq(bench.changes, 2);

	/* Nothing is left to run; back again, the first probe goes out at once, however long the
	 * interval. */
	while (bench.peer.open > 0)
		ev_run(bench.loop, EVRUN_ONCE);
	ev_io_stop(bench.loop, &bench.peer.accept);
	ev_run(bench.loop, 0);
	ev_io_start(bench.loop, &bench.peer.accept);
	bench.config.pool.check.interval_ms = 1000000000;
	health_configure(bench.health, &bench.config.snapshot);
	bench_probes(&bench, 1);
	ck_assert(is_up(&bench, 0));
	bench_fini(&bench);
	ck_assert_uint_eq(none.snapshot.refs, 1);
}
END_TEST

/* The same backend name in two pools, or twice the same address: each its own state. */
START_TEST(keys)
{
	struct bench bench;
	struct pool_conf pools[2];
	struct addr other = {ADDR_V4, {127, 0, 0, 77}};
	bench_init(&bench, 2, bad);
	bench.config.backends[1].address = bench.config.backends[0].address;
	pools[0] = bench.config.pool;
	pools[1] = bench.config.pool;
	pools[1].name = "others";
	pools[1].check.type = CHECK_NONE;
	bench.config.snapshot.pools = pools;
	bench.config.snapshot.pool_count = 2;
	health_configure(bench.health, &bench.config.snapshot);
	while (bench.changes < 2)
		ev_run(bench.loop, EVRUN_ONCE);
	ck_assert(!is_up(&bench, 0) && !is_up(&bench, 1));
	ck_assert(
		health_is_up(bench.health, "others", "relay1", &bench.config.backends[0].address));
	ck_assert(health_is_up(bench.health, "relays", "relay1", &other));
	bench_fini(&bench);
}
END_TEST

static void
fill(TCase *cases)
{
	tcase_add_test(cases, rise_and_fall);
	tcase_add_test(cases, first_probes_at_once);
	tcase_add_test(cases, no_overlap);
	tcase_add_test(cases, resources_do_not_count);
	tcase_add_test(cases, unwatched_is_told_at_once);
	tcase_add_test(cases, reload_keeps_state);
	tcase_add_test(cases, reload_shorter_interval);
	tcase_add_test(cases, reload_under_a_probe);
	tcase_add_test(cases, reload_drops);
	tcase_add_test(cases, reload_to_none_and_back);
	tcase_add_test(cases, keys);
}

UNIT_MAIN("health", fill)

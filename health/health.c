/*
 * The checkers: see health.h. Runs in its loop's thread. A checker owns its copies of the key, so
 * that it can be matched with the backends of the next snapshot.
 */
#include "health/health.h"

#include "health/counter.h"
#include "health/phase.h"
#include "health/probe.h"
#include "lb/io/waker.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* First probes go out one after the other, all within a second. */
static const double first_step_s = 0.01;
static const double first_window_s = 1;

struct checker {
	struct checker *next;
	struct health *health;
	char *pool;
	char *backend;
	struct addr address;
	const struct pool_conf *pool_conf; /* the snapshot's; NULL until configured, as the next */
	const struct backend_conf *backend_conf;
	struct counter counter;
	double phase;
	bool started; /* a probe went out since there is something to probe */
	bool wanted;  /* by the snapshot that is being configured */
	bool paused;  /* sends no probes */
	struct ev_timer due;
	struct probe probe;
};

struct health {
	struct ev_loop *loop;
	struct waker waker;
	struct health_events events;
	void *context;
	struct snapshot *snapshot; /* NULL before the first */
	struct checker *checkers;
	unsigned sequence; /* of the next new checker */
	double epoch_s;    /* the moment from which the phases count */
};

static double
monotonic_s(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static double
interval_s(const struct check_conf *check)
{
	return (double)check->interval_ms / 1000;
}

static void
checker_arm(struct checker *checker, double delay_s)
{
	ev_timer_stop(checker->health->loop, &checker->due);
	ev_timer_set(&checker->due, delay_s, 0);
	ev_timer_start(checker->health->loop, &checker->due);
}

static void
checker_arm_next(struct checker *checker)
{
	checker_arm(checker, phase_delay(checker->phase, monotonic_s() - checker->health->epoch_s,
				     interval_s(&checker->pool_conf->check)));
}

static void
on_due(struct ev_loop *loop, struct ev_timer *timer, int events)
{
	struct checker *checker = timer->data;
	(void)loop;
	(void)events;
	checker_arm_next(checker);
	checker->started = true;
	/* A probe that takes longer than the interval costs the next one its turn. */
	if (!probe_is_running(&checker->probe))
		probe_start(&checker->probe, checker->health->snapshot, checker->pool_conf,
			checker->backend_conf);
}

static void
checker_changed(struct checker *checker, const struct probe_result *result)
{
	const struct health *health = checker->health;
	health->events.on_change(health->context, checker->pool, checker->backend,
		&checker->address, checker->counter.up, result);
}

static void
on_done(void *context, const struct probe_result *result)
{
	struct checker *checker = context;
	const struct health *health = checker->health;
	if (health->events.on_probe)
		health->events.on_probe(health->context, checker->pool, checker->backend,
			&checker->address, result);
	if (result->cause == PROBE_RESOURCES)
		return;
	if (counter_note(&checker->counter, result->cause == PROBE_OK,
		    checker->pool_conf->check.rise, checker->pool_conf->check.fall))
		checker_changed(checker, result);
}

static struct checker *
find(const struct health *health, const char *pool, const char *backend, const struct addr *address)
{
	for (struct checker *checker = health->checkers; checker; checker = checker->next) {
		if (addr_equal(&checker->address, address) &&
			strcmp(checker->backend, backend) == 0 && strcmp(checker->pool, pool) == 0)
			return checker;
	}
	return NULL;
}

static struct checker *
checker_new(
	struct health *health, const char *pool, const char *backend, const struct addr *address)
{
	struct checker *checker = calloc(1, sizeof(*checker));
	if (!checker)
		return NULL;
	checker->health = health;
	checker->pool = strdup(pool);
	checker->backend = strdup(backend);
	if (checker->pool == NULL || checker->backend == NULL) {
		free(checker->pool);
		free(checker->backend);
		free(checker);
		return NULL;
	}
	checker->address = *address;
	checker->phase = phase_of(health->sequence++);
	counter_init(&checker->counter);
	ev_init(&checker->due, on_due);
	checker->due.data = checker;
	probe_init(&checker->probe, health->loop, on_done, checker);
	checker->next = health->checkers;
	health->checkers = checker;
	return checker;
}

static void
checker_silence(struct checker *checker)
{
	ev_timer_stop(checker->health->loop, &checker->due);
	probe_stop(&checker->probe);
	checker->started = false;
}

static void
checker_free(struct checker *checker)
{
	checker_silence(checker);
	free(checker->pool);
	free(checker->backend);
	free(checker);
}

/* Without probes nothing speaks against the backend. */
static void
checker_assume_up(struct checker *checker)
{
	bool was_up = checker->counter.up;
	checker_silence(checker);
	counter_init(&checker->counter);
	if (!was_up)
		checker_changed(checker, &(struct probe_result){PROBE_OK, "no check"});
}

/* firsts counts the first probes that this configuration sends out. */
static void
checker_configure(struct checker *checker, const struct pool_conf *pool,
	const struct backend_conf *backend, unsigned *firsts)
{
	const struct pool_conf *old = checker->pool_conf;
	checker->pool_conf = pool;
	checker->backend_conf = backend;
	checker->wanted = true;
	switch (pool->check.type) {
	case CHECK_NONE:
		checker_assume_up(checker);
		break;
	case CHECK_HTTP:
	case CHECK_HTTPS:
	case CHECK_TCP:
	case CHECK_SMTP:
		if (checker->paused)
			break;
		if (!checker->started)
			checker_arm(checker, fmod((*firsts)++ * first_step_s, first_window_s));
		else if (old->check.interval_ms != pool->check.interval_ms)
			checker_arm_next(checker);
		break;
	}
}

static void
drop_unwanted(struct health *health)
{
	struct checker **link = &health->checkers;
	while (*link) {
		struct checker *checker = *link;
		if (checker->wanted) {
			checker->wanted = false;
			link = &checker->next;
		} else {
			*link = checker->next;
			checker_free(checker);
		}
	}
}

int
health_prepare(struct health *health, const struct snapshot *snapshot)
{
	for (size_t i = 0; i < snapshot->pool_count; i++) {
		const struct pool_conf *pool = &snapshot->pools[i];

		for (size_t j = 0; j < pool->backend_count; j++) {
			const struct backend_conf *backend = &pool->backends[j];
			const struct addr *address = &backend->address;

			if (find(health, pool->name, backend->name, address) == NULL &&
				checker_new(health, pool->name, backend->name, address) == NULL)
				return -1;
		}
	}
	return 0;
}

void
health_configure(struct health *health, struct snapshot *snapshot)
{
	struct snapshot *old = health->snapshot;
	unsigned firsts = 0;
	if (health_prepare(health, snapshot) < 0)
		abort();
	/* What came before in this turn of the loop must not shorten a delay. */
	ev_now_update(health->loop);
	health->snapshot = snapshot_ref(snapshot);
	for (size_t i = 0; i < snapshot->pool_count; i++) {
		const struct pool_conf *pool = &snapshot->pools[i];
		for (size_t j = 0; j < pool->backend_count; j++) {
			const struct backend_conf *backend = &pool->backends[j];
			struct checker *checker =
				find(health, pool->name, backend->name, &backend->address);

			checker_configure(checker, pool, backend, &firsts);
		}
	}
	drop_unwanted(health);
	snapshot_unref(old);
}

void
health_pause(struct health *health, const char *pool, const char *backend, bool paused)
{
	for (struct checker *checker = health->checkers; checker; checker = checker->next) {
		if (checker->paused == paused || strcmp(checker->backend, backend) != 0 ||
			strcmp(checker->pool, pool) != 0)
			continue;
		checker->paused = paused;
		checker_silence(checker);
		if (!paused && checker->pool_conf->check.type != CHECK_NONE)
			checker_arm(checker, 0);
	}
}

struct health *
health_new(struct ev_loop *loop, const struct health_events *events, void *context)
{
	struct health *health = calloc(1, sizeof(*health));
	if (!health)
		return NULL;
	health->loop = loop;
	waker_init(&health->waker, loop);
	health->events = *events;
	health->context = context;
	health->epoch_s = monotonic_s();
	return health;
}

void
health_free(struct health *health)
{
	while (health->checkers) {
		struct checker *checker = health->checkers;
		health->checkers = checker->next;
		checker_free(checker);
	}
	snapshot_unref(health->snapshot);
	waker_fini(&health->waker);
	free(health);
}

bool
health_take_down(
	struct health *health, const char *pool, const char *backend, const struct addr *address)
{
	struct checker *checker = find(health, pool, backend, address);
	if (!checker || !checker->pool_conf || checker->pool_conf->check.type == CHECK_NONE)
		return false;
	checker->counter = (struct counter){.up = false};
	return true;
}

bool
health_is_up(const struct health *health, const char *pool, const char *backend,
	const struct addr *address)
{
	const struct checker *checker = find(health, pool, backend, address);
	return !checker || checker->counter.up;
}

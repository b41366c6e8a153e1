/*
 * See orders.h.
 */
#include "lb/orders.h"

#include "health/health.h"
#include "lb/clock.h"
#include "lb/pool_set.h"
#include "lb/runtime.h"

#include <string.h>

/* A moment later than the deadline, so that it has passed. */
static void
arm(struct orders *orders, uint64_t after_ms)
{
	ev_now_update(orders->loop);
	ev_timer_stop(orders->loop, &orders->cut);
	ev_timer_set(&orders->cut, (double)(after_ms + 1) / 1000, 0);
	ev_timer_start(orders->loop, &orders->cut);
}

/* The next deadline of all pools; 0 for none. */
static uint64_t
next_cut_ms(const struct orders *orders)
{
	const struct runtime *runtime = orders->serving->runtime;
	uint64_t next = 0;
	for (size_t i = 0; i < runtime->snapshot->pool_count; i++) {
		uint64_t own = pool_next_cut(runtime->pools[i]);
		if (own && (!next || own < next))
			next = own;
	}
	return next;
}

static void
arm_next(struct orders *orders)
{
	uint64_t next = next_cut_ms(orders);
	if (next)
		arm(orders, clock_ms_until(next));
}

static void
drain(struct orders *orders)
{
	for (unsigned i = 0; i < orders->serving->worker_count; i++)
		worker_drain(orders->serving->workers[i]);
	arm_next(orders);
}

static void
on_cut(struct ev_loop *loop, ev_timer *timer, int ready)
{
	(void)loop;
	(void)ready;
	drain(timer->data);
}

void
orders_init(struct orders *orders, struct ev_loop *loop, const struct serving *serving)
{
	orders->loop = loop;
	orders->serving = serving;
	ev_init(&orders->cut, on_cut);
	orders->cut.data = orders;
}

void
orders_fini(struct orders *orders)
{
	if (orders->loop)
		ev_timer_stop(orders->loop, &orders->cut);
}

int
orders_give(struct orders *orders, const char *name, const char *backend, const char *state)
{
	const struct serving *serving = orders->serving;
	struct pool *pool = pool_set_find(serving->pools, name);
	enum admin_state ordered;
	if (!pool || admin_state_parse(&ordered, state) < 0 ||
		pool_order(pool, backend, ordered, serving->runtime->snapshot->drain_timeout_ms) <
			0)
		return -1;
	health_pause(serving->health, name, backend, ordered == ADMIN_MAINT);
	drain(orders);
	return 0;
}

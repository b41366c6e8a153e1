/*
 * What is ordered of backends: drain, maint, ready; and the end of what is open with one that
 * drains for longer than drain_timeout.
 *
 * Main thread.
 */
#ifndef LB_ORDERS_H
#define LB_ORDERS_H

#include "lb/change.h"

#include <ev.h>

struct orders {
	struct ev_loop *loop;
	const struct serving *serving;
	ev_timer cut; /* when the next drain is over */
};

void orders_init(struct orders *orders, struct ev_loop *loop, const struct serving *serving);
void orders_fini(struct orders *orders);

/* Orders the backend's state, by its name. Returns 0, or -1 when there is no such pool, backend or
 * state. */
int orders_give(struct orders *orders, const char *pool, const char *backend, const char *state);

#endif

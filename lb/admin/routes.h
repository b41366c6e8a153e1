/*
 * What the admin interface answers: paths, methods, and who makes the answer.
 */
#ifndef LB_ADMIN_ROUTES_H
#define LB_ADMIN_ROUTES_H

#include "acl/report.h"
#include "lb/admin/admin.h"
#include "lb/admin/http.h"

struct routes;

struct routes *routes_new(struct ev_loop *loop, const struct serving *serving,
	const struct admin_orders *orders, void *context);
void routes_free(struct routes *routes);

/* Handlers for http_new, with the routes for their context: for everything, and for what gives no
 * orders. */
http_handler_fn routes_handle_all, routes_handle_reads;

/* See admin_load_ended. */
void routes_load_ended(struct routes *routes, bool own, const struct report *report);

#endif

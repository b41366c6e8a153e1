/*
 * The live sessions of all workers, as JSON: each worker is asked for its own, so an answer takes a
 * moment, and all who ask meanwhile share it.
 *
 * Main thread.
 */
#ifndef LB_ADMIN_SESSIONS_H
#define LB_ADMIN_SESSIONS_H

#include "lb/admin/http.h"
#include "lb/change.h"

#include <ev.h>

struct sessions;

/* NULL when there is no memory. */
struct sessions *sessions_new(struct ev_loop *loop, const struct serving *serving);

/* The workers must have ended. */
void sessions_free(struct sessions *sessions);

/* Answers the exchange in a moment. */
void sessions_give(struct sessions *sessions, struct http_exchange *exchange);

#endif

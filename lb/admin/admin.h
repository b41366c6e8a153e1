/*
 * The admin interface: where a running balancer is seen and steered. One server for the Unix
 * socket, which takes orders, and one for `listen`, which only answers what is looked at.
 *
 * Main thread.
 */
#ifndef LB_ADMIN_ADMIN_H
#define LB_ADMIN_ADMIN_H

#include "conf/snapshot.h"

#include <ev.h>
#include <stdbool.h>

struct activation;
struct admin;
struct serving;

/* What it asks of the daemon. */
struct admin_orders {
	/* Load the configuration anew. Returns 0: admin_reloaded will tell; or -1 with errno.
	 * *behind: whether another load is under way, whose outcome is not the one that was asked
	 * for. */
	int (*reload)(void *context, bool *behind);
	/* A backend's state: 0, or -1 when there is no such backend. */
	int (*order)(void *context, const char *pool, const char *backend, const char *state);
	/* Whether it stops. */
	bool (*is_stopping)(void *context);
	/* Whether another process serves in its stead, to whom orders go. */
	bool (*is_retired)(void *context);
};

/* NULL when there is no memory. The texts and what serves must outlive it. */
struct admin *admin_new(struct ev_loop *loop, const struct serving *serving,
	const struct admin_orders *orders, void *context);
void admin_free(struct admin *admin); /* NULL is fine; takes its socket's path away */

/* To listen where the snapshot says, in two steps: what can fail, and what can't. What stays the
 * same stays open; given: sockets that are there already, NULL for none. Where it can't listen,
 * that is an error in the report (-1), but for the default places, which nobody has asked for: a
 * warning. */
int admin_prepare(struct admin *admin, struct activation *given, const struct snapshot *snapshot,
	struct report *report);
void admin_drop(struct admin *admin);
void admin_commit(struct admin *admin);

/* The sockets at which it listens now, for somebody else to take over. Returns how many. */
enum {
	ADMIN_SOCKETS_MAX = 2,
};
bool admin_owns_path(const struct admin *admin); /* of the Unix socket, if there is one */
size_t admin_sockets(const struct admin *admin, int fds[ADMIN_SOCKETS_MAX]);

/* Somebody else serves there from now on: accepts no more, and leaves the Unix socket's path to
 * him. */
void admin_leave(struct admin *admin);

/* A load has ended. own: it was the one that was asked for, and report says what came of it
 * (errors: refused); otherwise it was another, behind which those who asked have waited. */
void admin_load_ended(struct admin *admin, bool own, const struct report *report);

#endif

/*
 * Reload: the configuration is loaded anew on HUP, by an order, or because a file that it reads has
 * changed, and what came of it takes the place of what is served, or leaves it alone and says why.
 *
 * Main thread; it owns the loader, and the watcher that others find in what serves.
 */
#ifndef LB_RELOAD_H
#define LB_RELOAD_H

#include "lb/change.h"

#include <ev.h>
#include <stdbool.h>

struct loader;
struct stop;

struct reload {
	struct ev_loop *loop;
	struct serving *serving;
	const char *file;
	const struct stop *stop;      /* once it has begun, nothing is loaded */
	const struct snapshot *first; /* whose hostname, workers and user hold until a restart */
	struct loader *loader;
	ev_signal hup;
};

/* file outlives all of it: a load that hangs is left alone. Returns -1 without memory: then
 * reload_fini is due all the same. */
int reload_init(struct reload *reload, struct ev_loop *loop, struct serving *serving,
	const char *file, const struct stop *stop, const struct snapshot *first);
void reload_fini(struct reload *reload); /* fine on zeros too */

/* Heeds HUP from now on. */
void reload_watch(struct reload *reload);

bool reload_is_under_way(const struct reload *reload);

/* As the admin interface orders it: see admin_orders in lb/admin/admin.h. */
int reload_order(struct reload *reload, bool *behind);

#endif

/*
 * What one worker knows of one runtime: where it accepts, under which configuration, and how many
 * of its sessions still run under it. Made by the main thread, from its installation on the
 * worker's.
 */
#ifndef LB_VIEW_H
#define LB_VIEW_H

#include "lb/runtime.h"

struct view;
struct worker;

/* A worker's view of a runtime, with one reference; NULL when there is no memory. Not atomic: the
 * worker refers to its current view, and each of its sessions to the one it began under. */
struct view *view_new(struct worker *worker, struct runtime *runtime);
struct view *view_ref(struct view *view);
void view_unref(struct view *view);

struct worker *view_worker(const struct view *view);

/* The listener of that name; NULL when there is none. */
const struct listener_conf *view_find_listener(const struct view *view, const char *name);

/* What this worker counts of one of the view's listeners. */
struct listener_counts *view_counts(const struct view *view, const struct listener_conf *listener);

struct pool *view_pool(const struct view *view, const struct pool_conf *conf);
struct limits *view_limits(const struct view *view, const struct listener_conf *conf);

/* Accepts connections from now on. */
void view_start(struct view *view);

/* A descriptor or memory may be free again: ends a pause. */
void view_resume(struct view *view);

/* Accepts no more, and gives up the worker's reference. Sockets that the next view (NULL for none)
 * does not have are closed, and whoever is in their accept queue is served first: closing would
 * reset them. */
void view_retire(struct view *view, const struct view *next);

#endif

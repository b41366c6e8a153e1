/*
 * Loads a configuration in a thread of its own, one at a time, so that a list of a million prefixes
 * holds up neither a probe nor a signal. The outcome is told in the main thread's loop.
 */
#ifndef LB_LOADER_H
#define LB_LOADER_H

#include "acl/report.h"
#include "conf/snapshot.h"

#include <ev.h>

struct loader;

/* snapshot: one reference for the callee; NULL when the report has errors. The report is valid
 * during the call. */
typedef void loader_done_fn(void *context, struct snapshot *snapshot, struct report *report);

struct loader *loader_new(
	struct ev_loop *loop, const char *file, loader_done_fn *done, void *context);

/* Tells nothing more. A load under way may hang on a dead disk: it is left alone, with the memory
 * that it uses, so this is for the end of the program. */
void loader_free(struct loader *loader);

/* Starts to load; while a load is under way, another begins when it is done. Returns 0, or -1 with
 * errno. */
int loader_start(struct loader *loader);

#endif

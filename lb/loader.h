/*
 * Loads a configuration in a thread of its own, one at a time, so that a list of a million prefixes
 * holds up neither a probe nor a signal. The outcome is told in the main thread's loop.
 */
#ifndef LB_LOADER_H
#define LB_LOADER_H

#include "acl/report.h"
#include "acl/sources.h"
#include "conf/snapshot.h"

#include <ev.h>
#include <stdbool.h>

struct loader;

/* What came of a load. Valid during the call. */
struct loaded {
	struct snapshot
		*snapshot; /* one reference for the callee; NULL on error, or when overtaken */
	struct report *report;
	const char *changed;    /* of loader_read_again; NULL: the file was loaded */
	bool overtaken;         /* files changed meanwhile: what was read is worth nothing */
	struct sources refused; /* what loader_read_again read in vain */
};

typedef void loader_done_fn(void *context, const struct loaded *loaded);

struct loader *loader_new(
	struct ev_loop *loop, const char *file, loader_done_fn *done, void *context);

/* Tells nothing more. A load under way, which may hang on a dead disk, is not awaited: it frees
 * what it uses when it is through. */
void loader_free(struct loader *loader);

/* Starts to load the file; while a load is under way, another begins when it is done. Returns 0, or
 * -1 with errno. */
int loader_start(struct loader *loader);

/* Whether a load is under way, after which one that is asked for now would begin. */
bool loader_is_running(const struct loader *loader);

/* Starts to read anew what the snapshot was made from, but for the configuration file itself, which
 * somebody may be at work on. changed: a file that has changed, for the outcome. seen: those files
 * as they were when they were quiet, which the loader keeps; read otherwise they are overtaken.
 * Returns 0, or -1 with errno: EBUSY while a load is under way. */
int loader_read_again(struct loader *loader, struct snapshot *snapshot, const char *changed,
	struct sources *seen);

#endif

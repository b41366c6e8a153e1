/*
 * The thread that looks about once a second whether a file that the running configuration was
 * loaded from has changed. It asks with stat(2), which sees what inotify does not: another
 * machine's writes on NFS, a file mounted over, a link that points elsewhere. The thread does
 * nothing else, so that a disk that never answers ends the watching and holds up neither a load nor
 * the stop.
 */
#ifndef LB_WATCHER_H
#define LB_WATCHER_H

#include "acl/sources.h"

#include <ev.h>

struct watch;
struct watcher;

/* Told in the main thread's loop: a file at this path has changed, and all have been quiet since
 * for as long as lb/watch.h says. seen: all files as they were then. The callee may keep
 * its content and leave it empty. */
typedef void watcher_changed_fn(void *context, const char *path, struct sources *seen);

/* Watches nothing yet. NULL without memory. */
struct watcher *watcher_new(struct ev_loop *loop, watcher_changed_fn *changed, void *context);

/* Starts the thread, with the caller's signal mask. Returns 0, or -1 with errno. */
int watcher_start(struct watcher *watcher);

/* Tells nothing more. A thread that hangs in a look is left alone, with the memory that it uses, so
 * this is for the end of the program. */
void watcher_free(struct watcher *watcher);

/* Watches the files of what is in force from now on, and takes the watch. What was not told of
 * before is void. */
void watcher_watch(struct watcher *watcher, struct watch *watch);

/* What became of what was told of: see watch_refused and watch_again. Without memory a refusal
 * counts for the latter. */
void watcher_refused(struct watcher *watcher, const struct sources *read);
void watcher_again(struct watcher *watcher);

#endif

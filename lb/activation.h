/*
 * Listening sockets that this process has from who started it: systemd's socket activation, or the
 * process that it replaces (replacement.h), which passes its own in the same way. The protocol is
 * that of sd_listen_fds(3): LISTEN_FDS descriptors from 3 on, if LISTEN_PID is ours.
 *
 * Main thread, at the start.
 */
#ifndef LB_ACTIVATION_H
#define LB_ACTIVATION_H

#include "acl/addr.h"
#include "acl/report.h"

#include <stdbool.h>
#include <stddef.h>

enum {
	ACTIVATION_FIRST_FD = 3,
};

struct activation;

/* LISTEN_FDNAMES of the process before, where the path of the Unix socket is its own. */
#define ACTIVATION_OWN "own"

/* Takes what the environment tells of, and forgets it there, so that no child is misled. Sockets
 * become non-blocking and close-on-exec, and detect death as our own do (socket.h). Returns NULL
 * with the reasons in the report: no memory, or a descriptor that is no socket to accept at. */
struct activation *activation_new(struct report *report);

/* The sockets that listen on that very address, which are the caller's from then on, as the array
 * is, for free(3). Returns how many: 0 with *fds NULL when there is none, or no memory. */
size_t activation_take(struct activation *activation, const struct endpoint *at, int **fds);

/* The Unix socket of that path, which is the caller's from then on; -1 when there is none.
 * *owns_path: whether the path is, too; it is not where somebody keeps it for who comes next. */
int activation_take_unix(struct activation *activation, const char *path, bool *owns_path);

/* What was taken is in use: closes the rest, with a warning for each, and takes away a path that is
 * ours and leads nowhere now. */
void activation_settle(struct activation *activation, const char *file, struct report *report);

/* Closes what nobody has taken. NULL is fine. */
void activation_free(struct activation *activation);

#endif

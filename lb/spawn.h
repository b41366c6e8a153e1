/*
 * Starts a program with sockets, as socket activation does (activation.h).
 */
#ifndef LB_SPAWN_H
#define LB_SPAWN_H

#include <stddef.h>
#include <sys/types.h>

struct spawn {
	const char *path;
	char *const *arguments; /* NULL behind the last */
	const int *sockets;     /* its descriptors from 3 on, in this order */
	size_t socket_count;
	int talk;              /* another one, behind these, */
	const char *talk_name; /* whose number is in the environment under this name */
	const char *names;     /* of the sockets: LISTEN_FDNAMES */
};

/* Returns the process, or -1 with errno: no memory, no process. It is a child of our parent's, so
 * that whoever supervises us hears of its end (but not where we are process 1: then it is ours).
 * *handle: by which it can be signalled and nobody else (pidfd_open(2)); -1 where the kernel has
 * none.
 *
 * That the program can't be run is told by the new process: it writes SPAWN_FAILED and its errno,
 * an int, to `talk` and ends. It has no signal blocked, ignores HUP and USR2 at first, and keeps
 * our capabilities (ambient, capabilities(7)), which would otherwise be lost where we have dropped
 * root. Main thread. */
enum {
	SPAWN_FAILED = 'X',
};
pid_t spawn_start(const struct spawn *spawn, int *handle);

#endif

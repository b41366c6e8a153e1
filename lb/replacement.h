/*
 * The upgrade, on USR2: the binary that is at our path now is started beside us, with our listening
 * sockets, and takes over. Nothing is bound anew, so nothing in an accept queue is lost; our
 * sessions run on here until they end. Until the new process has said that it is ready, nothing has
 * changed: it may fail, crash or hang.
 *
 * Both talk over a pair of stream sockets; REPLACEMENT_TALK in the environment tells the new
 * process which descriptor is its end. It sends REPLACEMENT_PREPARED once all that can fail is
 * done, gets one JSON value, the record of pool_record.h, and sends REPLACEMENT_READY. With
 * REPLACEMENT_GO it serves, and the old process accepts no more: up to that byte either may give
 * up, and from it on neither. Its end then stays open until the old process ends, so that it knows
 * whether that lives: there are never more than two.
 *
 * Main thread. Here the old process's side; the new one's is successor.h.
 */
#ifndef LB_REPLACEMENT_H
#define LB_REPLACEMENT_H

#include "lb/change.h"

#include <ev.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define REPLACEMENT_TALK "SMTPLB_UPGRADE"

enum {
	REPLACEMENT_PREPARED = 'P',
	REPLACEMENT_READY = 'R',
	REPLACEMENT_GO = 'G',
};

struct reload;
struct stop;
struct successor;

struct replacement {
	struct ev_loop *loop;
	const struct serving *serving;
	const char *file;
	struct stop *stop;
	const struct reload *reload;
	const struct successor *successor; /* whether we are one ourselves, and not alone yet */
	char *path;                        /* of the binary; NULL: the kernel did not tell */
	ev_signal usr2;
	ev_io answer;
	ev_timer patience;
	int talk;         /* with the new process; -1: there is none */
	pid_t pid;        /* 0: likewise */
	int handle;       /* of the process; -1: none */
	uint64_t changes; /* there had been when it was started */
	bool is_done;     /* it serves */
};

/* The parts must outlive it. */
void replacement_init(struct replacement *replacement, struct ev_loop *loop,
	const struct serving *serving, const char *file);
void replacement_fini(struct replacement *replacement);

/* Heeds the signal from now on. */
void replacement_watch(struct replacement *replacement, struct stop *stop,
	const struct reload *reload, const struct successor *successor);

#endif

/*
 * The new process's side of an upgrade (replacement.h): takes over from the one that has started
 * it. Main thread.
 */
#ifndef LB_SUCCESSOR_H
#define LB_SUCCESSOR_H

#include "lb/change.h"

#include <ev.h>
#include <stdbool.h>

struct successor {
	int talk; /* -1: nobody has been there before, or he has gone */
	ev_io end;
};

/* Looks into the environment, and forgets it there. */
void successor_init(struct successor *successor);
void successor_fini(struct successor *successor);

/* All else that can fail is done: has the change go on where the pools of before are. Returns 0
 * once he accepts no more, and it is ours to serve; or -1 with errno when he has ended, or does not
 * want it any more. 0 where there was nobody. */
int successor_prepare(struct successor *successor, struct change *change);

/* Looks for his end from now on. */
void successor_watch(struct successor *successor, struct ev_loop *loop);

/* Whether he lives still, for his sessions. */
bool successor_is_one_of_two(const struct successor *successor);

#endif

/*
 * What becomes of a worker's denied clients: each is counted by its source (denied.h), and told.
 *
 * The log's `denied` lines: ten a second over all workers, so that a scan does not push the lines
 * of good clients out of the log's queue. What is past that is summed up by each worker, a line a
 * second with its `count`.
 */
#ifndef LB_DENIALS_H
#define LB_DENIALS_H

#include "acl/acl.h"

#include <ev.h>
#include <stdint.h>

struct denied;
struct session;

/* A worker's. */
struct denials {
	struct ev_loop *loop;
	uint64_t *quota; /* of all workers: the second, and how many were told in it; atomic */
	uint64_t untold;
	ev_timer summary;
	struct denied *sources;
};

/* 0, or -1 with errno. */
int denials_init(struct denials *denials, struct ev_loop *loop, uint64_t *quota);

/* The worker ends: tells what is left. */
void denials_stop(struct denials *denials);
void denials_fini(struct denials *denials);

/* The verdict turned this session's client away: counts it, and logs it as long as there is room.
 */
void denials_add(
	struct denials *denials, const struct session *session, const struct verdict *verdict);

#endif

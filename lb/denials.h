/*
 * What becomes of the clients that a worker turns away, by the acl or by a limit: each is told in
 * the log, as long as there are not too many (ration.h), and who was denied is counted by source
 * (denied.h).
 */
#ifndef LB_DENIALS_H
#define LB_DENIALS_H

#include "acl/acl.h"
#include "conf/snapshot.h"
#include "lb/limit.h"
#include "lb/ration.h"

#include <ev.h>
#include <stdint.h>

struct denied;
struct session;

/* What the rations of all workers share: zeros at first. */
struct denial_quotas {
	uint64_t denied;
	uint64_t limited;
};

/* A worker's. */
struct denials {
	struct ration denied;
	struct ration limited;
	struct denied *sources;
};

/* 0, or -1 with errno. */
int denials_init(struct denials *denials, struct ev_loop *loop, struct denial_quotas *quotas);

/* The worker ends: tells what is left. */
void denials_stop(struct denials *denials);
void denials_fini(struct denials *denials);

/* The verdict turned this session's client away. */
void denials_add(
	struct denials *denials, const struct session *session, const struct verdict *verdict);

/* This limit did. rate: what the limit is, where it is one (a count of 0 where not). */
void denials_limit(struct denials *denials, const struct session *session, enum limit limit,
	const struct rate_conf *rate);

#endif

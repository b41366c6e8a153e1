/*
 * How many of the log's lines about one kind of event are written: ten a second over all workers,
 * so that a flood does not push the lines of good clients out of the log's queue. What is past that
 * is counted by each worker, and summed up a second later.
 */
#ifndef LB_RATION_H
#define LB_RATION_H

#include <ev.h>
#include <stdbool.h>
#include <stdint.h>

/* Writes the line about so many that had none of their own. */
typedef void ration_sum_fn(uint64_t count);

/* A worker's, for one kind of event. In its thread. */
struct ration {
	struct ev_loop *loop;
	uint64_t *quota; /* of all workers: the second, and how many asked in it; atomic */
	ration_sum_fn *sum_up;
	uint64_t untold;
	ev_timer summary;
};

void ration_init(
	struct ration *ration, struct ev_loop *loop, uint64_t *quota, ration_sum_fn *sum_up);

/* Whether this one gets a line of its own; if not, it is counted for the next summary. */
bool ration_take(struct ration *ration);

/* The worker ends: sums up what is left. */
void ration_stop(struct ration *ration);

#endif

/*
 * A token bucket: N tokens at most, full at the beginning, refilled evenly over a period, so that a
 * token comes back every PERIOD / N. Exact: whole numbers only, nothing is lost or won by looking
 * often. Pure: no memory, the time is the caller's.
 *
 * What is kept is what is missing, so that a bucket of zeros is a full one, and so that what was
 * taken stays taken when the rate changes.
 */
#ifndef LB_BUCKET_H
#define LB_BUCKET_H

#include "conf/snapshot.h"

#include <stdbool.h>
#include <stdint.h>

struct bucket {
	uint64_t missing;   /* in parts of a token, of which it has period_ms */
	uint64_t at_ms;     /* when that was so, by the clock of who asks */
	uint32_t period_ms; /* 0 = nothing was ever taken */
};

/* Takes a token, if there is one. rate: what holds now, never with a count of 0; it may be another
 * than the last time. now_ms never goes back; where it does (two threads may bring theirs in
 * another order) the time stands still. */
bool bucket_take(struct bucket *bucket, const struct rate_conf *rate, uint64_t now_ms);

/* Puts back what was taken last. */
void bucket_put_back(struct bucket *bucket);

#endif

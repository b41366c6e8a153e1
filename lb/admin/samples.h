/*
 * The load of the last quarter of an hour, a sample every few seconds: the newest takes the place
 * of the oldest. Fixed memory; no clock of its own.
 */
#ifndef LB_ADMIN_SAMPLES_H
#define LB_ADMIN_SAMPLES_H

#include "lb/recent.h"
#include "lb/tracker.h"

#include <stddef.h>
#include <stdint.h>

enum {
	SAMPLE_INTERVAL_S = 5,
	SAMPLES = 180,
};

/* What all listeners have counted since the start. */
struct load {
	uint64_t sessions; /* that have begun, but for the denied */
	uint64_t denied;   /* by the acl */
	uint64_t messages[OUTCOMES];
};

/* What happened between two looks. */
struct sample {
	uint64_t ms;     /* how long that was */
	uint64_t active; /* sessions that were open at its end */
	struct load load;
	struct growth growth; /* of all backends together */
};

/* All zero at first. */
struct samples {
	struct sample ring[SAMPLES];
	uint64_t count;   /* of all that there have been */
	uint64_t seen_ms; /* the latest look; 0 = there was none */
	struct load seen; /* by it, in all */
};

/* A look; the first one only begins. Where a counter has gone down, because a reload took a
 * listener out, nothing is known of it for that sample: 0. */
void samples_add(struct samples *samples, uint64_t now_ms, const struct load *now, uint64_t active,
	const struct growth *growth);

/* How many there are, and one of them: 0 is the oldest. */
size_t samples_count(const struct samples *samples);
const struct sample *samples_at(const struct samples *samples, size_t number);

#endif

/*
 * See metrics.h. No memory, no locks: a block is its thread's.
 */
#include "lb/metrics.h"

#include "lb/tally.h"

#include <stddef.h>

const char *const denial_names[] = {
	[DENIAL_ACL] = "acl",
	[DENIAL_SESSIONS] = "sessions",
	[DENIAL_CONNECTS] = "connects",
	[DENIAL_MESSAGES] = "messages",
};

const char *const handshake_names[] = {
	[HANDSHAKE_FULL] = "full",
	[HANDSHAKE_RESUMED] = "resumed",
	[HANDSHAKE_FAILED] = "failed",
};

const char *const failure_names[] = {
	[FAILURE_CLOSED] = "closed",
	[FAILURE_TIMEOUT] = "timeout",
	[FAILURE_PROTOCOL] = "protocol",
	[FAILURE_RESOURCES] = "resources",
};

const char *const direction_names[] = {
	[DIRECTION_IN] = "in",
	[DIRECTION_OUT] = "out",
};

const char *const reply_class_names[] = {
	[REPLY_CLASS_2] = "2",
	[REPLY_CLASS_3] = "3",
	[REPLY_CLASS_4] = "4",
	[REPLY_CLASS_5] = "5",
};

const char *const message_outcome_names[] = {
	[OUTCOME_ACCEPTED] = "accepted",
	[OUTCOME_DEFERRED] = "deferred",
	[OUTCOME_REJECTED] = "rejected",
};

const char *const probe_outcome_names[] = {
	[PROBE_OUTCOME_OK] = "ok",
	[PROBE_OUTCOME_FAIL] = "fail",
};

/* From a relay next door to one that postscreen or a full process table keeps silent. */
const uint64_t duration_bounds_us[] = {500, 1000, 2500, 5000, 10000, 25000, 50000, 100000, 250000,
	500000, 1000000, 2500000, 5000000, 10000000, 30000000};

void
durations_add(struct durations *durations, uint64_t duration_us)
{
	size_t i = 0;
	while (i < DURATION_BOUNDS && duration_us > duration_bounds_us[i])
		i++;
	tally_add(&durations->counts[i], 1);
	tally_add(&durations->sum_us, duration_us);
}

int64_t
durations_quantile_us(const uint64_t counts[DURATION_BOUNDS + 1], unsigned percent)
{
	uint64_t all = 0, below = 0;
	for (size_t i = 0; i <= DURATION_BOUNDS; i++)
		all += counts[i];
	if (!all)
		return -1;
	double rank = (double)all * percent / 100;
	size_t i = 0;
	while (i < DURATION_BOUNDS && (double)(below + counts[i]) < rank)
		below += counts[i++];
	if (i == DURATION_BOUNDS)
		return (int64_t)duration_bounds_us[i - 1];
	double from = i > 0 ? (double)duration_bounds_us[i - 1] : 0;
	double width = (double)duration_bounds_us[i] - from;
	return (int64_t)(from + width * (rank - (double)below) / (double)counts[i]);
}

int
message_outcome_of(unsigned code)
{
	static const int outcomes[] = {
		-1, -1, OUTCOME_ACCEPTED, -1, OUTCOME_DEFERRED, OUTCOME_REJECTED};
	unsigned digit = code / 100;
	return digit < sizeof(outcomes) / sizeof(*outcomes) ? outcomes[digit] : -1;
}

void
backend_counts_reply(struct backend_counts *counts, enum verb verb, unsigned code)
{
	unsigned digit = code / 100;
	if (verb == VERB_BDAT_LAST)
		verb = VERB_BDAT;
	if (verb == VERB_NONE)
		verb = VERB_OTHER;
	if (digit >= 2 && digit <= 5)
		tally_add(&counts->replies[verb][digit - 2], 1);
}

/*
 * Token buckets; see bucket.h.
 *
 * A token has period_ms parts, and each millisecond brings back `count` of them: so neither is ever
 * divided. At most RATE_COUNT_MAX * RATE_PERIOD_MAX_MS parts are missing, which is below 2^52.
 */
#include "lb/bucket.h"

/* Counts what is missing in parts of the new period's size, a rest rounded up: a change of the rate
 * gives nothing away. Each product is of two numbers below 2^32. */
static void
change_period(struct bucket *bucket, uint32_t period_ms)
{
	if (bucket->period_ms) {
		uint64_t tokens = bucket->missing / bucket->period_ms;
		uint64_t rest = bucket->missing % bucket->period_ms;
		bucket->missing = tokens * period_ms +
				  (rest * period_ms + bucket->period_ms - 1) / bucket->period_ms;
	}
	bucket->period_ms = period_ms;
}

static void
refill(struct bucket *bucket, const struct rate_conf *rate, uint64_t now_ms)
{
	uint64_t passed_ms = now_ms > bucket->at_ms ? now_ms - bucket->at_ms : 0;
	uint64_t all = (uint64_t)rate->count * rate->period_ms;
	if (bucket->period_ms != rate->period_ms)
		change_period(bucket, rate->period_ms);
	if (bucket->missing > all)
		bucket->missing = all;
	bucket->at_ms += passed_ms;
	if (passed_ms >= rate->period_ms || passed_ms * rate->count >= bucket->missing)
		bucket->missing = 0;
	else
		bucket->missing -= passed_ms * rate->count;
}

bool
bucket_take(struct bucket *bucket, const struct rate_conf *rate, uint64_t now_ms)
{
	refill(bucket, rate, now_ms);
	if (bucket->missing + rate->period_ms > (uint64_t)rate->count * rate->period_ms)
		return false;
	bucket->missing += rate->period_ms;
	return true;
}

void
bucket_put_back(struct bucket *bucket)
{
	bucket->missing -=
		bucket->missing < bucket->period_ms ? bucket->missing : bucket->period_ms;
}

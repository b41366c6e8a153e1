/*
 * See samples.h.
 */
#include "lb/admin/samples.h"

static struct load
difference(const struct load *now, const struct load *before)
{
	struct load more = {
		.sessions = growth_of_counter(now->sessions, before->sessions),
		.denied = growth_of_counter(now->denied, before->denied),
	};
	for (int i = 0; i < OUTCOMES; i++)
		more.messages[i] = growth_of_counter(now->messages[i], before->messages[i]);
	return more;
}

void
samples_add(struct samples *samples, uint64_t now_ms, const struct load *now, uint64_t active,
	const struct growth *growth)
{
	if (samples->seen_ms)
		samples->ring[samples->count++ % SAMPLES] = (struct sample){
			.ms = now_ms - samples->seen_ms,
			.active = active,
			.load = difference(now, &samples->seen),
			.growth = *growth,
		};
	samples->seen_ms = now_ms;
	samples->seen = *now;
}

size_t
samples_count(const struct samples *samples)
{
	return samples->count < SAMPLES ? samples->count : SAMPLES;
}

const struct sample *
samples_at(const struct samples *samples, size_t number)
{
	uint64_t first = samples->count - samples_count(samples);
	return &samples->ring[(first + number) % SAMPLES];
}

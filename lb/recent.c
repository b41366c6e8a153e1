/*
 * See recent.h.
 */
#include "lb/recent.h"

void
growth_add(struct growth *sum, const struct growth *more)
{
	for (int i = 0; i < REPLY_CLASSES; i++)
		sum->replies[i] += more->replies[i];
	for (int i = 0; i <= DURATION_BOUNDS; i++)
		sum->greetings[i] += more->greetings[i];
}

uint64_t
growth_of_counter(uint64_t now, uint64_t before)
{
	return now > before ? now - before : 0;
}

static struct growth
difference(const struct growth *now, const struct growth *before)
{
	struct growth more;
	for (int i = 0; i < REPLY_CLASSES; i++)
		more.replies[i] = growth_of_counter(now->replies[i], before->replies[i]);
	for (int i = 0; i <= DURATION_BOUNDS; i++)
		more.greetings[i] = growth_of_counter(now->greetings[i], before->greetings[i]);
	return more;
}

struct growth
growth_in_all(const struct backend_counts *counts)
{
	struct growth all = {.replies = {0}};
	for (int i = 0; i < VERBS; i++) {
		for (int j = 0; j < REPLY_CLASSES; j++)
			all.replies[j] += counts->replies[i][j];
	}
	for (int i = 0; i <= DURATION_BOUNDS; i++)
		all.greetings[i] = counts->greeting.counts[i];
	return all;
}

/* Nothing was seen in the minutes since the latest look. */
static void
turn(struct recent *recent, uint64_t minute)
{
	for (int i = 0; i < RECENT_MINUTES && recent->minute < minute; i++)
		recent->minutes[++recent->minute % RECENT_MINUTES] =
			(struct growth){.replies = {0}};
	recent->minute = minute;
}

struct growth
recent_see(struct recent *recent, const struct growth *now, uint64_t minute)
{
	struct growth more = {.replies = {0}};
	if (recent->begun)
		more = difference(now, &recent->seen);
	recent->begun = true;
	recent->seen = *now;
	turn(recent, minute);
	growth_add(&recent->minutes[minute % RECENT_MINUTES], &more);
	return more;
}

struct growth
recent_sum(const struct recent *recent, uint64_t minute)
{
	struct growth sum = {.replies = {0}};
	/* Those after the latest look are still to be seen, and empty. */
	for (uint64_t ago = minute - recent->minute; ago < RECENT_MINUTES; ago++)
		growth_add(&sum, &recent->minutes[(minute - ago) % RECENT_MINUTES]);
	return sum;
}

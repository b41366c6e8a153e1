/*
 * Rise and fall: see counter.h. Pure; no memory of its own.
 */
#include "health/counter.h"

void
counter_init(struct counter *counter)
{
	*counter = (struct counter){.up = true};
}

bool
counter_note(struct counter *counter, bool success, unsigned rise, unsigned fall)
{
	if (success == counter->up) {
		counter->run = 0;
		return false;
	}
	if (++counter->run < (counter->up ? fall : rise))
		return false;
	*counter = (struct counter){.up = success};
	return true;
}

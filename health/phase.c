/*
 * Probe phases: see phase.h. Pure; no memory of its own.
 */
#include "health/phase.h"

#include <math.h>

double
phase_of(unsigned sequence)
{
	/* Steps of the golden ratio around a circle: each lands in a widest gap that the earlier
	 * ones left (the three-gap theorem), so there is no need to know how many will come. */
	const double golden = 0.61803398874989485;
	return fmod(sequence * golden, 1.0);
}

double
phase_delay(double phase, double elapsed, double interval)
{
	double delay = phase * interval - fmod(elapsed, interval);
	if (delay < 0)
		delay += interval;
	return delay < interval / 2 ? delay + interval : delay;
}

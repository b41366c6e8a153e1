/*
 * The rise and fall of one backend: up until `fall` failures in a row, down until `rise` successes
 * in a row. A plain value without clock, memory or I/O; whoever holds it calls from one thread.
 */
#ifndef HEALTH_COUNTER_H
#define HEALTH_COUNTER_H

#include <stdbool.h>

struct counter {
	bool up;
	unsigned run; /* outcomes in a row that speak against `up` */
};

/* Up, as nothing has spoken against it yet. */
void counter_init(struct counter *counter);

/* Takes one outcome. The limits, both at least 1, are passed each time, so that changed ones hold
 * from the next outcome on. Returns whether `up` changed. */
bool counter_note(struct counter *counter, bool success, unsigned rise, unsigned fall);

#endif

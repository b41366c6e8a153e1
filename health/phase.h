/*
 * When probes are due. Each checker has a phase, a fixed fraction of its interval, at which its
 * probes go out: the same instant after every stall, reload or overrun, so that checkers once
 * spread never gather into a herd. Pure arithmetic; all times are seconds, as libev's.
 */
#ifndef HEALTH_PHASE_H
#define HEALTH_PHASE_H

/* The phase of the sequence-th checker, from 0 to below 1. However many there are, they are spread
 * evenly (no gap above twice the average one), and the next one falls into a widest gap. */
double phase_of(unsigned sequence);

/* How long from now until the next probe, from a half to one and a half intervals: whatever brought
 * the last one out of step, two never follow each other closely. elapsed is the time since a fixed
 * moment that all checkers share, on a clock that never jumps. interval is more than 0. */
double phase_delay(double phase, double elapsed, double interval);

#endif

/*
 * File descriptors decide how many sessions there can be at most.
 */
#ifndef LB_DESCRIPTORS_H
#define LB_DESCRIPTORS_H

#include "acl/report.h"
#include "conf/snapshot.h"

#include <stdint.h>

/* Opens those of stdin, stdout and stderr that are closed, so that no other file gets their number
 * and with it what is meant for them. */
void descriptors_open_standard(void);

/* Takes as many as the hard limit allows. */
void descriptors_raise_limit(void);

/* How many there may be now. */
uint64_t descriptors_limit(void);

/* How many clients that were refused may linger at once. */
unsigned descriptors_linger_limit(const struct snapshot *snapshot);

/* How many sessions may run at once: what is configured (0 = no limit of its own), or less where
 * the descriptors would not last. */
uint64_t descriptors_session_limit(const struct snapshot *snapshot);

/* Whether there are enough for a session at all: 0, or -1 with an error in the report. */
int descriptors_check(const struct snapshot *snapshot, struct report *report);

#endif

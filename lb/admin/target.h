/*
 * POOL/BACKEND: for whom an order is.
 */
#ifndef LB_ADMIN_TARGET_H
#define LB_ADMIN_TARGET_H

#include "conf/snapshot.h"

struct target {
	char pool[NAME_LEN_MAX + 1];
	char backend[NAME_LEN_MAX + 1];
};

/* Names have letters, digits, -, _ and dots (conf/), so a path needs no escapes: whatever else
 * stands there is the name of nothing, -1. */
int target_parse(struct target *target, const char *text);

#endif

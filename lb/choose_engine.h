/*
 * Which engine the workers' connections are moved by.
 */
#ifndef LB_CHOOSE_ENGINE_H
#define LB_CHOOSE_ENGINE_H

#include "acl/report.h"
#include "conf/snapshot.h"

struct engine;

/* The one that the snapshot names; for auto io_uring, where this kernel gives all that it needs,
 * and otherwise libev, with a warning in the report that says why. NULL, and an error in the
 * report, when io_uring is asked for by name and can't be had. */
const struct engine *choose_engine(const struct snapshot *snapshot, struct report *report);

/* What it is called in logs and metrics. */
const char *engine_name(const struct engine *engine);

#endif

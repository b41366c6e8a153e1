/*
 * How the operator is told about a configuration: on stderr by commands and at the start, in the
 * log by a running daemon.
 */
#ifndef LB_NOTICE_H
#define LB_NOTICE_H

#include "acl/report.h"
#include "conf/snapshot.h"

/* A line on stderr for each entry. */
void notice_print(const struct report *report);

/* A `config` event. */
void notice_config(enum log_level level, const char *action, const char *detail);

/* A `config` event for each entry: `refused` for an error, `warning` for a warning. */
void notice_log(const struct report *report);

#endif

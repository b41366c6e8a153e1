/*
 * The way of a finished log line to the file descriptor or to syslog: a bounded queue and the
 * thread that empties it. log_start, log_stop, log_set_target and log_dropped of lb/log.h belong to
 * it.
 */
#ifndef LB_LOG_QUEUE_H
#define LB_LOG_QUEUE_H

#include "conf/snapshot.h"

#include <stddef.h>

/* Takes a copy of the line, which ends with its only newline and is at most LOG_LINE_MAX long, or
 * drops and counts it. Never waits for who reads it while the writer runs. Any thread. */
void log_queue_put(enum log_level level, const char *line, size_t len);

#endif

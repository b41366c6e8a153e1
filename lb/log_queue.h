/*
 * The way of a finished log line to the file descriptor: a bounded queue and the thread that
 * empties it. log_start, log_stop and log_dropped of lb/log.h belong to it.
 */
#ifndef LB_LOG_QUEUE_H
#define LB_LOG_QUEUE_H

#include <stddef.h>

/* Takes a copy of the line, which ends with its only newline and is at most LOG_LINE_MAX long, or
 * drops and counts it. Never waits for the descriptor while the writer runs. Any thread. */
void log_queue_put(const char *line, size_t len);

#endif

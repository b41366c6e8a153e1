/*
 * Log lines on their way to the machine's syslog daemon, a datagram each, in the form of RFC 3164
 * that syslog(3) uses too:
 *
 *	<PRIORITY>Nov 24 02:06:00 smtplb[PID]: LINE
 *
 * syslog(3) itself would not do: it waits as long as the daemon does not read, and does not say
 *when a line was lost. One thread.
 */
#ifndef LB_LOG_SYSLOG_H
#define LB_LOG_SYSLOG_H

#include "conf/snapshot.h"

#include <stddef.h>

#define LOG_SYSLOG_PATH "/dev/log"

struct log_syslog {
	const char *path;
	int fd; /* -1 = not connected */
};

void log_syslog_init(struct log_syslog *syslog, const char *path);
void log_syslog_fini(struct log_syslog *syslog);

/* Sends a line, which ends with a newline, with facility `mail` and the level's severity; connects
 * when it has to. Returns 1, or 0 when the daemon takes none for LOG_SLICE_MS, or -1 with errno
 * when there is no daemon. */
int log_syslog_send(struct log_syslog *syslog, enum log_level level, const char *line, size_t len);

#endif

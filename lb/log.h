/*
 * The log: one line an event, made by the thread that has the news, written by a thread of the
 * log's own, so that a full disk or a blocked pipe never holds up a session. The queue between them
 * is bounded; what does not fit is dropped and counted, and the log says so when it can again.
 *
 * Use:	struct log_line line;
 *	log_begin(&line, LOG_LEVEL_INFO, "session");
 *	log_text(&line, "id", id);
 *	log_end(&line);
 *
 * Keys appear in the order of the calls. Values are escaped here: whatever bytes a peer sent, a
 * line is one line. A NULL or empty text and LOG_NONE are written as the format's "no value" (- in
 * logfmt). A line that would pass LOG_LINE_MAX is cut at a value's end and marked with cut=yes.
 */
#ifndef LB_LOG_H
#define LB_LOG_H

#include "acl/addr.h"
#include "conf/snapshot.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	LOG_LINE_MAX = 2048,
	LOG_QUEUE_MAX = 4096, /* lines */
};

struct log_line {
	enum log_level level;
	bool wanted; /* false: below the level, every call is a no-op */
	bool cut;
	size_t len;
	char text[LOG_LINE_MAX];
};

/* Starts the writer thread, which writes to fd (stderr's) until log_stop. Before log_start and
 * after log_stop lines are written at once by the caller. Returns 0, or -1 with errno. */
int log_start(int fd);
void log_stop(void); /* writes what is queued, for a second at most, and joins the thread */

void log_set_level(enum log_level level); /* any thread, any time */

void log_begin(struct log_line *line, enum log_level level, const char *event);
void log_text(struct log_line *line, const char *key, const char *value);
void log_bytes(struct log_line *line, const char *key, const void *value, size_t len);
void log_number(struct log_line *line, const char *key, uint64_t value);
void log_endpoint(struct log_line *line, const char *key, const struct endpoint *value);
void log_end(struct log_line *line);

uint64_t log_dropped(void); /* lines dropped since the start */

#endif

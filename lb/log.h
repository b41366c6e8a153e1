/*
 * The log: one line an event, made by the thread that has the news, written by a thread of the
 * log's own, so that a full disk or a blocked pipe never holds up a session. The queue between them
 * is bounded; what does not fit is dropped and counted, and the log says so when it can again
 * (event=log dropped=N).
 *
 * Use:	struct log_line line;
 *	log_begin(&line, LOG_LEVEL_INFO, "session");
 *	log_text(&line, "id", id);
 *	log_end(&line);
 *
 * Keys appear in the order of the calls. Values are escaped here: whatever bytes came from outside,
 * a line is one line of printable ASCII. A NULL or empty text, LOG_NONE and an endpoint without an
 * address are written as the format's "no value": - in logfmt (a text that is "-" is quoted), null
 * in JSON (RFC 8259, one object a line), where a number is a number and all else a string. A reader
 * of JSON gets a peer's bytes back by encoding the string as Latin-1: \u0080 to \u00ff stand for
 * bytes. A line that would pass LOG_LINE_MAX is cut at a value's end and marked, with cut=yes or
 * "cut":true.
 *
 * In the format `elb` a line that log_begin_client has begun is one of ELB's access log, as
 * log_elb.h says; every other is logfmt.
 */
#ifndef LB_LOG_H
#define LB_LOG_H

#include "acl/addr.h"
#include "conf/snapshot.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	LOG_LINE_MAX = 2048,     /* bytes, with the newline */
	LOG_QUEUE_MAX = 1 << 20, /* bytes: some 2,500 session lines */
	LOG_ELB_COLUMNS = 35,    /* log_elb.h */
};

#define LOG_NONE UINT64_MAX /* the number that is no value */

struct log_spelling; /* of lb/log.c */

/* A part of a line's text. */
struct log_span {
	uint16_t at;
	uint16_t len;
};

struct log_line {
	const struct log_spelling *spelling;
	enum log_level level;
	enum log_format format;
	bool wanted;     /* false: below the level, every call is a no-op */
	bool cut;        /* the mark is written, every further call is a no-op */
	bool is_columns; /* its text is what log_elb.h says, until it is finished */
	size_t room; /* for the pairs: behind them the mark, the end and the newline find theirs */
	size_t len;
	struct log_span columns[LOG_ELB_COLUMNS];
	char text[LOG_LINE_MAX]; /* no NUL behind it; with the newline once ended */
};

/* Starts the writer thread, which writes to fd (stderr's) or syslog until log_stop. Before
 * log_start and after log_stop lines are written to fd at once by the caller, which waits a second
 * at most for an fd that is blocked. Expects SIGPIPE to be ignored. Returns 0, or -1 with errno. */
int log_start(int fd);

/* Writes what is queued, for a second at most, drops the rest and joins the thread. A thread that
 * the kernel does not let out of its last write (a terminal that was stopped, a hung file system)
 * is left behind: the process is about to exit. */
void log_stop(void);

/* Any thread, any time. They hold for every line that is begun from then on. */
void log_set_level(enum log_level level);
void log_set_format(enum log_format format);

/* What the format elb calls us; it stays the caller's. */
void log_set_name(const char *name);

/* Where lines go that are ended from then on: to log_start's fd, as at first, or to syslog,
 * facility `mail`. Lines for the other are still written, but no longer waited for: where it is
 * blocked they are dropped. Any thread, any time. */
void log_set_target(enum log_target target);

void log_begin(struct log_line *line, enum log_level level, const char *event);

/* The same for a line that says what became of a client, who came so long ago. */
void log_begin_client(
	struct log_line *line, enum log_level level, const char *event, uint64_t age_us);

void log_text(struct log_line *line, const char *key, const char *value);
void log_bytes(struct log_line *line, const char *key, const void *value, size_t len);
void log_number(struct log_line *line, const char *key, uint64_t value);

/* Microseconds: told as milliseconds, but in a column of the format elb as seconds, all of them. */
void log_duration(struct log_line *line, const char *key, uint64_t value_us);

void log_endpoint(struct log_line *line, const char *key, const struct endpoint *value);
void log_end(struct log_line *line);

/* For rooms that keep lines themselves: a line in that format whatever is wanted, and the end of
 * one that is sent nowhere. */
void log_begin_as(
	struct log_line *line, enum log_format format, enum log_level level, const char *event);
void log_finish(struct log_line *line);

uint64_t log_dropped(void); /* lines dropped since the start */

#endif

/*
 * Log lines on their way to a descriptor, in batches of whole lines of at most PIPE_BUF bytes, each
 * written once poll says that the descriptor is ready: on a pipe such a write neither blocks nor is
 * torn, not even where others write to the same pipe. The descriptor's flags are left alone: it is
 * shared with whoever started us. One thread.
 */
#ifndef LB_LOG_STREAM_H
#define LB_LOG_STREAM_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum {
	LOG_SLICE_MS = 100, /* for so long a log waits for whom it writes to, at one go */
};

struct log_stream {
	int fd;
	size_t start, len; /* the text between them is not written yet */
	bool begun;        /* what was written last ends within a line */
	char text[PIPE_BUF];
};

/* Writes what the descriptor takes now or within LOG_SLICE_MS. Returns the bytes, 0 for none yet,
 * or -1. */
ssize_t log_stream_write_some(int fd, const char *text, size_t len);

void log_stream_init(struct log_stream *stream, int fd);

/* Adds a line to the batch; false when it has no room. An empty one has, and one with nothing but
 * the rest of a line. */
bool log_stream_has_room(const struct log_stream *stream, size_t len);
void log_stream_add(struct log_stream *stream, const char *line, size_t len);

/* Returns 1 when the whole batch is written, 0 when some of it is not yet, -1 on an error. */
int log_stream_write(struct log_stream *stream);

/* Gives up what was not written, but for the rest of a line that was begun: the next batch starts
 * with it, so that no line is ever torn. Returns the number of lines given up. */
uint64_t log_stream_settle(struct log_stream *stream);

#endif

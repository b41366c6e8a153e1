/*
 * Reads the log as an operator's collector would, line by line as it comes, and fails on a line
 * that is torn or out of order. In a thread of its own, or called by the test.
 */
#ifndef TESTS_UNIT_LOG_READER_H
#define TESTS_UNIT_LOG_READER_H

#include "lb/log.h"

#include "tests/unit/logfmt.h"
#include "tests/unit/unit.h"

#include <pthread.h>
#include <string.h>
#include <unistd.h>

enum {
	PRODUCERS = 4, /* at most */
};

struct reader {
	int fd;
	pthread_t thread;
	pthread_mutex_t mutex;
	pthread_cond_t grown;
	uint64_t lines;           /* event=test */
	uint64_t reports;         /* event=log */
	uint64_t reported;        /* the sum of their dropped= */
	uint64_t next[PRODUCERS]; /* the least n that may come */
	char text[2 * LOG_LINE_MAX];
	size_t len;
};

static inline uint64_t
number_of(const struct logfmt_pair *pair)
{
	char text[32] = "";
	ck_assert_uint_lt(pair->len, sizeof(text));
	memcpy(text, pair->value, pair->len);
	return strtoull(text, NULL, 10);
}

static inline void
reader_take_line(struct reader *reader, const char *at, const char *end)
{
	struct logfmt_pair pair;
	uint64_t producer = 0, n = 0, dropped = 0;
	bool is_report = false;
	const char *line = at;
	while (at && at < end) {
		at = logfmt_next(at, end, &pair);
		if (strcmp(pair.key, "event") == 0)
			is_report = pair.len == 3;
		else if (strcmp(pair.key, "producer") == 0)
			producer = number_of(&pair);
		else if (strcmp(pair.key, "n") == 0)
			n = number_of(&pair);
		else if (strcmp(pair.key, "dropped") == 0)
			dropped = number_of(&pair);
	}
	ck_assert_msg(at != NULL, "torn: %.*s", (int)(end - line), line);
	if (is_report) {
		ck_assert_uint_gt(dropped, 0);
		ck_assert_ptr_nonnull(memmem(line, (size_t)(end - line), "level=warning ", 14));
		reader->reports++;
		reader->reported += dropped;
		return;
	}
	ck_assert_str_eq(pair.key, "end");
	ck_assert_uint_ge(n, reader->next[producer]);
	reader->next[producer] = n + 1;
	reader->lines++;
}

/* Takes the whole lines of what was read. */
static inline void
reader_take(struct reader *reader)
{
	char *at = reader->text, *end = reader->text + reader->len, *lf;
	pthread_mutex_lock(&reader->mutex);
	for (; (lf = memchr(at, '\n', (size_t)(end - at))); at = lf + 1)
		reader_take_line(reader, at, lf);
	reader->len = (size_t)(end - at);
	memmove(reader->text, at, reader->len);
	pthread_cond_signal(&reader->grown);
	pthread_mutex_unlock(&reader->mutex);
}

/* Returns the bytes; 0 at the end, or where nothing is there and the descriptor does not block. */
static inline size_t
reader_read(struct reader *reader)
{
	ssize_t len =
		read(reader->fd, reader->text + reader->len, sizeof(reader->text) - reader->len);
	if (len <= 0)
		return 0;
	reader->len += (size_t)len;
	reader_take(reader);
	return (size_t)len;
}

static inline void *
reader_run(void *argument)
{
	struct reader *reader = argument;
	while (reader_read(reader) > 0)
		;
	ck_assert_uint_eq(reader->len, 0);
	return NULL;
}

static inline void
reader_init(struct reader *reader, int fd)
{
	memset(reader, 0, sizeof(*reader));
	reader->fd = fd;
	pthread_mutex_init(&reader->mutex, NULL);
	pthread_cond_init(&reader->grown, NULL);
}

static inline void
reader_start(struct reader *reader)
{
	ck_assert_int_eq(pthread_create(&reader->thread, NULL, reader_run, reader), 0);
}

/* Waits until every line came or was counted, and the log told of all that was dropped. */
static inline void
reader_await(struct reader *reader, uint64_t produced, bool reports)
{
	pthread_mutex_lock(&reader->mutex);
	while (reader->lines + log_dropped() < produced ||
		(reports && reader->reported < log_dropped()))
		pthread_cond_wait(&reader->grown, &reader->mutex);
	pthread_mutex_unlock(&reader->mutex);
}

#endif

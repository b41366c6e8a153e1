/*
 * The log's queue, a ring of lines under one mutex, and its writer thread. All memory is static and
 * bounded: LOG_QUEUE_MAX, and one batch on the writer's stack. The writer waits for who reads the
 * log in slices, so that it can always be told to stop or to go elsewhere.
 */
#include "lb/log_queue.h"

#include "lb/clock.h"
#include "lb/log.h"
#include "lb/log_ring.h"
#include "lb/log_stream.h"
#include "lb/log_syslog.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
	GATHER_MS = 10, /* that a line may wait for others, to be written with them */
	STOP_MS = 1000, /* for what is queued at the end, or for a line that its caller writes */
	ABANDON_S = 2,  /* after this the writer is stuck in the kernel */
};

static struct {
	pthread_mutex_t mutex; /* for all that follows */
	pthread_cond_t filled; /* the writer waits for it */
	pthread_cond_t ended;  /* log_stop waits for it */
	pthread_t thread;
	int fd;                 /* constant while running */
	enum log_target target; /* of new lines */
	bool running;           /* between log_start and log_stop */
	bool sleeping;          /* the writer waits for filled */
	bool has_ended;         /* there is no writer */
	bool failing;           /* the writer's last write failed */
	bool overflowing;       /* it was full: takes no more until half of it is free */
	bool relieved;          /* half of it was free since the last report, if not any more */
	uint64_t stop_by_ms;    /* 0 = not stopping */
	uint64_t dropped;       /* lines, since the start */
	uint64_t reported;      /* how many of them the log tells of */
	struct log_ring ring;
} queue = {
	.mutex = PTHREAD_MUTEX_INITIALIZER,
	.filled = PTHREAD_COND_INITIALIZER,
	.ended = PTHREAD_COND_INITIALIZER,
	.fd = STDERR_FILENO,
	.has_ended = true,
};

/* The writer thread's own. */
struct writer {
	struct log_stream stream;
	struct log_syslog syslog;
	enum log_target target;   /* of what it is about to write */
	struct log_record record; /* for syslog, with the next */
	char line[LOG_LINE_MAX];
	bool reports;        /* it is about to tell of lines that were dropped */
	bool rest_of_report; /* so it was when it wrote to the stream last */
};

static void
lock(void)
{
	pthread_mutex_lock(&queue.mutex);
}

static void
unlock(void)
{
	pthread_mutex_unlock(&queue.mutex);
}

/* The caller's own write, for want of a writer. Returns 0 or -1. */
static int
write_line(int fd, const char *line, size_t len)
{
	uint64_t stop_by_ms = clock_ms() + STOP_MS;
	size_t done = 0;
	while (done < len) {
		ssize_t written = log_stream_write_some(fd, line + done, len - done);
		if (written < 0 || (written == 0 && clock_ms() >= stop_by_ms))
			return -1;
		done += (size_t)written;
	}
	return 0;
}

static bool
time_is_up(void)
{
	return queue.stop_by_ms > 0 && clock_ms() >= queue.stop_by_ms;
}

/* The line that tells of what was dropped; below its level there is none. */
static void
take_report(struct writer *writer)
{
	struct log_line line;
	log_begin(&line, LOG_LEVEL_WARNING, "log");
	log_number(&line, "dropped", queue.dropped - queue.reported);
	log_finish(&line);
	queue.relieved = false;
	writer->target = queue.target;
	writer->record = (struct log_record){.len = (uint16_t)line.len,
		.level = LOG_LEVEL_WARNING,
		.target = (uint8_t)queue.target};
	if (writer->target == LOG_STDERR)
		log_stream_add(&writer->stream, line.text, line.len);
	else
		memcpy(writer->line, line.text, line.len);
}

/* Half of it is free again: lines are taken, and those that were not are told of. */
static void
relieve(void)
{
	if (!queue.overflowing || queue.ring.used > LOG_QUEUE_MAX / 2)
		return;
	queue.overflowing = false;
	queue.relieved = true;
}

/* The lines for the stream that fit, or one for syslog. */
static void
take_lines(struct writer *writer)
{
	struct log_record record;
	bool more = log_ring_peek(&queue.ring, &record);
	writer->target = (enum log_target)record.target;
	writer->record = record;
	if (writer->target == LOG_SYSLOG)
		log_ring_pull(&queue.ring, writer->line);
	while (more && record.target == LOG_STDERR &&
		log_stream_has_room(&writer->stream, record.len)) {
		log_ring_pull(&queue.ring, writer->line);
		log_stream_add(&writer->stream, writer->line, record.len);
		more = log_ring_peek(&queue.ring, &record);
	}
	relieve();
}

/* Once lines can be written again, and not for every line that a full queue refuses. */
static bool
report_is_due(void)
{
	return queue.dropped > queue.reported && !queue.failing &&
	       (!queue.overflowing || queue.relieved);
}

/* Whoever logs would otherwise wake the writer for every line, and wait for it as well. What comes
 * in this time is a fraction of the queue. */
static void
gather(void)
{
	struct timespec time = {.tv_nsec = GATHER_MS * 1000000L};
	unlock();
	nanosleep(&time, NULL);
	lock();
}

/* Waits until there is something to write. False when the writer has to end. */
static bool
await_work(void)
{
	bool slept = false;
	while (queue.ring.used == 0 && !report_is_due() && queue.stop_by_ms == 0) {
		slept = queue.sleeping = true;
		pthread_cond_wait(&queue.filled, &queue.mutex);
	}
	queue.sleeping = false;
	if (slept)
		gather();
	return !time_is_up() && (queue.ring.used > 0 || report_is_due());
}

static int
write_once(struct writer *writer)
{
	if (writer->target == LOG_STDERR)
		return log_stream_write(&writer->stream);
	if (writer->record.len == 0)
		return 1;
	return log_syslog_send(&writer->syslog, (enum log_level)writer->record.level, writer->line,
		writer->record.len);
}

/* Returns 1 when all is written, -1 on an error, and 0 when nobody takes it and it is not worth
 * waiting for any longer: the time is up, or the log goes elsewhere by now. */
static int
write_patiently(struct writer *writer)
{
	int result;
	bool stop = false;
	while ((result = write_once(writer)) == 0 && !stop) {
		lock();
		stop = time_is_up() || queue.target != writer->target;
		unlock();
	}
	return result;
}

/* Returns the number of lines that were given up. */
static uint64_t
settle(struct writer *writer, int result)
{
	if (writer->target == LOG_SYSLOG)
		return result != 1;
	writer->rest_of_report = writer->reports;
	return log_stream_settle(&writer->stream);
}

/* Nobody takes lines where the log went before: the first ones in the queue would hold up those for
 * where it goes now. */
static void
drop_outdated(enum log_target target)
{
	struct log_record record;
	while (log_ring_peek(&queue.ring, &record) && record.target == target) {
		log_ring_pull(&queue.ring, NULL);
		queue.dropped++;
	}
	relieve();
}

static void
writer_step(struct writer *writer)
{
	uint64_t dropped = queue.dropped;
	writer->reports = report_is_due();
	if (writer->reports)
		take_report(writer);
	else
		take_lines(writer);
	unlock();
	int result = write_patiently(writer);
	uint64_t lost = settle(writer, result);
	lock();
	queue.failing = result < 0;
	if (!writer->reports)
		queue.dropped += lost;
	else if (lost == 0)
		queue.reported = dropped;
	if (result == 0 && queue.target != writer->target)
		drop_outdated(writer->target);
}

static void *
writer_run(void *unused)
{
	(void)unused;
	struct writer writer = {.reports = false};
	log_syslog_init(&writer.syslog, LOG_SYSLOG_PATH);
	lock();
	log_stream_init(&writer.stream, queue.fd);
	while (await_work())
		writer_step(&writer);
	if (writer.stream.len > 0 && !writer.rest_of_report)
		queue.dropped++;
	queue.has_ended = true;
	pthread_cond_signal(&queue.ended);
	unlock();
	log_syslog_fini(&writer.syslog);
	return NULL;
}

int
log_start(int fd)
{
	sigset_t all, before;
	sigfillset(&all);
	lock();
	int error = EBUSY;
	if (!queue.has_ended)
		goto out;
	queue.fd = fd;
	queue.failing = false;
	queue.stop_by_ms = 0;
	/* Signals are for the other threads. */
	pthread_sigmask(SIG_SETMASK, &all, &before);
	error = pthread_create(&queue.thread, NULL, writer_run, NULL);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	queue.running = error == 0;
	queue.has_ended = error != 0;
out:
	unlock();
	errno = error;
	return error ? -1 : 0;
}

void
log_stop(void)
{
	struct timespec abandon;
	clock_gettime(CLOCK_MONOTONIC, &abandon);
	abandon.tv_sec += ABANDON_S;
	lock();
	if (!queue.running) {
		unlock();
		return;
	}
	queue.stop_by_ms = clock_ms() + STOP_MS;
	pthread_cond_signal(&queue.filled);
	int waited = 0;
	while (!queue.has_ended && waited == 0)
		waited = pthread_cond_clockwait(
			&queue.ended, &queue.mutex, CLOCK_MONOTONIC, &abandon);
	bool has_ended = queue.has_ended;
	queue.running = false;
	queue.dropped += queue.ring.lines;
	queue.ring.head = queue.ring.used = 0;
	queue.ring.lines = 0;
	unlock();
	if (has_ended)
		pthread_join(queue.thread, NULL);
	else
		pthread_detach(queue.thread);
}

void
log_set_target(enum log_target target)
{
	lock();
	queue.target = target;
	unlock();
}

static void
queue_push(enum log_level level, const char *line, size_t len)
{
	struct log_record record = {
		.len = (uint16_t)len, .level = (uint8_t)level, .target = (uint8_t)queue.target};
	if (queue.overflowing || !log_ring_push(&queue.ring, &record, line)) {
		queue.overflowing = true;
		queue.dropped++;
		return;
	}
	if (queue.sleeping) {
		queue.sleeping = false;
		pthread_cond_signal(&queue.filled);
	}
}

void
log_queue_put(enum log_level level, const char *line, size_t len)
{
	lock();
	bool running = queue.running;
	int fd = queue.fd;
	if (running)
		queue_push(level, line, len);
	unlock();
	if (!running && write_line(fd, line, len) < 0) {
		lock();
		queue.dropped++;
		unlock();
	}
}

uint64_t
log_dropped(void)
{
	lock();
	uint64_t dropped = queue.dropped;
	unlock();
	return dropped;
}

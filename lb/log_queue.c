/*
 * The log's queue, a ring of bytes under one mutex, and its writer thread. All memory is static and
 * bounded: LOG_QUEUE_MAX, and one batch on the writer's stack.
 *
 * The writer takes batches of whole lines of at most PIPE_BUF bytes and writes each once poll says
 * that the descriptor is ready: on a pipe such a write neither blocks nor is torn, not even where
 * others write to the same pipe. The descriptor's flags are left alone: it is shared with whoever
 * started us.
 */
#include "lb/log_queue.h"

#include "lb/clock.h"
#include "lb/log.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

enum {
	STOP_MS = 1000, /* for what is queued at the end, or for a line that its caller writes */
	ABANDON_S = 2,  /* after this the writer is stuck in the kernel */
	SLICE_MS = 100, /* how often a wait for the descriptor looks whether it is time to end */
	BATCH_MAX = PIPE_BUF,
};
_Static_assert(BATCH_MAX >= 2 * LOG_LINE_MAX, "room for the rest of a line and another line");

static struct {
	pthread_mutex_t mutex; /* for all that follows */
	pthread_cond_t filled; /* the writer waits for it */
	pthread_cond_t ended;  /* log_stop waits for it */
	pthread_t thread;
	int fd;              /* constant while running */
	bool running;        /* between log_start and log_stop */
	bool sleeping;       /* the writer waits for filled */
	bool has_ended;      /* there is no writer */
	bool failing;        /* the writer's last write failed */
	bool overflowing;    /* it was full: takes no more until half of it is free */
	uint64_t stop_by_ms; /* 0 = not stopping */
	uint64_t dropped;    /* lines, since the start */
	uint64_t reported;   /* how many of them the log tells of */
	size_t head, used;   /* of the ring */
	char ring[LOG_QUEUE_MAX];
} queue = {
	.mutex = PTHREAD_MUTEX_INITIALIZER,
	.filled = PTHREAD_COND_INITIALIZER,
	.ended = PTHREAD_COND_INITIALIZER,
	.fd = STDERR_FILENO,
	.has_ended = true,
};

/* Lines on their way to the descriptor. The writer's own. */
struct batch {
	size_t start, len; /* the text between them is not written yet */
	bool begun;        /* what was written last ends within a line */
	char text[BATCH_MAX];
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

static uint64_t
count_lines(const char *text, size_t len)
{
	uint64_t count = 0;
	for (size_t i = 0; i < len; i++)
		count += text[i] == '\n';
	return count;
}

/* How many of the len bytes from a place in the ring stand before its end. */
static size_t
ring_straight(size_t at, size_t len)
{
	return LOG_QUEUE_MAX - at < len ? LOG_QUEUE_MAX - at : len;
}

static void
ring_push(const char *text, size_t len)
{
	size_t tail = (queue.head + queue.used) % LOG_QUEUE_MAX;
	size_t straight = ring_straight(tail, len);
	memcpy(queue.ring + tail, text, straight);
	memcpy(queue.ring, text + straight, len - straight);
	queue.used += len;
}

/* Moves the whole lines that fit to text and returns their length. */
static size_t
ring_pull(char *text, size_t room)
{
	size_t len = queue.used < room ? queue.used : room;
	size_t straight = ring_straight(queue.head, len);
	memcpy(text, queue.ring + queue.head, straight);
	memcpy(text + straight, queue.ring, len - straight);
	while (text[len - 1] != '\n')
		len--;
	queue.used -= len;
	/* An empty ring starts anew, so that a quiet log touches little of its memory. */
	queue.head = queue.used > 0 ? (queue.head + len) % LOG_QUEUE_MAX : 0;
	return len;
}

/* Empties the ring and returns the number of lines that it held. */
static uint64_t
ring_clear(void)
{
	size_t straight = ring_straight(queue.head, queue.used);
	uint64_t count = count_lines(queue.ring + queue.head, straight) +
			 count_lines(queue.ring, queue.used - straight);
	queue.head = queue.used = 0;
	return count;
}

/* Writes what the descriptor takes now or soon. Returns the bytes, 0 for none yet, or -1. */
static ssize_t
write_some(int fd, const char *text, size_t len)
{
	struct pollfd pollfd = {.fd = fd, .events = POLLOUT};
	int ready = poll(&pollfd, 1, SLICE_MS);
	if (ready == 0 || (ready < 0 && errno == EINTR))
		return 0;
	ssize_t written = write(fd, text, len);
	if (written < 0 && (errno == EINTR || errno == EAGAIN))
		return 0;
	return written > 0 ? written : -1;
}

/* The caller's own write, for want of a writer. Returns 0 or -1. */
static int
write_line(int fd, const char *line, size_t len)
{
	uint64_t stop_by_ms = clock_ms() + STOP_MS;
	size_t done = 0;
	while (done < len) {
		ssize_t written = write_some(fd, line + done, len - done);
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

/* Stops early when the time is up, or on an error, which is -1. */
static int
batch_write(struct batch *batch)
{
	bool stop = false;
	while (batch->start < batch->len && !stop) {
		ssize_t written =
			write_some(queue.fd, batch->text + batch->start, batch->len - batch->start);
		if (written < 0)
			return -1;
		if (written > 0) {
			batch->start += (size_t)written;
			batch->begun = batch->text[batch->start - 1] != '\n';
		}
		lock();
		stop = time_is_up();
		unlock();
	}
	return 0;
}

/* Gives up what was not written, but for the rest of a line that was begun: the next write starts
 * with it, so that no line is ever torn. Returns the number of lines given up. */
static uint64_t
batch_settle(struct batch *batch)
{
	const char *rest = batch->text + batch->start;
	size_t len = batch->len - batch->start;
	size_t keep = 0;
	if (batch->begun)
		while (rest[keep++] != '\n')
			;
	uint64_t lost = count_lines(rest + keep, len - keep);
	memmove(batch->text, rest, keep);
	batch->start = 0;
	batch->len = keep;
	return lost;
}

static void
batch_fill(struct batch *batch)
{
	batch->len += ring_pull(batch->text + batch->len, BATCH_MAX - batch->len);
	if (queue.used <= LOG_QUEUE_MAX / 2)
		queue.overflowing = false;
}

static void
batch_report(struct batch *batch)
{
	struct log_line line;
	log_begin(&line, LOG_LEVEL_WARNING, "log");
	log_number(&line, "dropped", queue.dropped - queue.reported);
	log_finish(&line);
	memcpy(batch->text + batch->len, line.text, line.len);
	batch->len += line.len;
}

/* Once lines can be written again, and not for every line that a full queue refuses. */
static bool
report_is_due(void)
{
	return queue.dropped > queue.reported && !queue.failing && !queue.overflowing;
}

/* Waits until there is something to write. False when the writer has to end. */
static bool
await_work(void)
{
	while (queue.used == 0 && !report_is_due() && queue.stop_by_ms == 0) {
		queue.sleeping = true;
		pthread_cond_wait(&queue.filled, &queue.mutex);
	}
	queue.sleeping = false;
	return !time_is_up() && (queue.used > 0 || report_is_due());
}

static void *
writer_run(void *unused)
{
	(void)unused;
	struct batch batch = {.start = 0};
	bool reports = false;
	lock();
	while (await_work()) {
		reports = report_is_due();
		uint64_t dropped = queue.dropped;
		if (reports)
			batch_report(&batch);
		else
			batch_fill(&batch);
		unlock();
		int result = batch_write(&batch);
		uint64_t lost = batch_settle(&batch);
		lock();
		queue.failing = result < 0;
		if (!reports)
			queue.dropped += lost;
		else if (lost == 0)
			queue.reported = dropped;
	}
	if (batch.len > 0 && !reports)
		queue.dropped++;
	queue.has_ended = true;
	pthread_cond_signal(&queue.ended);
	unlock();
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
	queue.dropped += ring_clear();
	unlock();
	if (has_ended)
		pthread_join(queue.thread, NULL);
	else
		pthread_detach(queue.thread);
}

static void
queue_push(const char *line, size_t len)
{
	if (queue.overflowing || len > LOG_QUEUE_MAX - queue.used) {
		queue.overflowing = true;
		queue.dropped++;
		return;
	}
	ring_push(line, len);
	if (queue.sleeping) {
		queue.sleeping = false;
		pthread_cond_signal(&queue.filled);
	}
}

void
log_queue_put(const char *line, size_t len)
{
	lock();
	bool running = queue.running;
	int fd = queue.fd;
	if (running)
		queue_push(line, len);
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

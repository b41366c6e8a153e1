/*
 * The log's queue and writer against descriptors of every temper: none blocks the caller, no line
 * is torn or lost uncounted, and the log tells of what it dropped.
 */
#include "lb/log.h"

#include "tests/unit/faults.h"
#include "tests/unit/log_reader.h"
#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static void
put_line(enum log_level level, uint64_t producer, uint64_t n)
{
	struct log_line line;
	log_begin(&line, level, "test");
	log_number(&line, "producer", producer);
	log_number(&line, "n", n);
	log_bytes(&line, "pad", "\n padding of a length that differs from line to line", n % 50);
	log_text(&line, "end", "yes");
	log_end(&line);
}

static void
put_lines(enum log_level level, uint64_t count)
{
	for (uint64_t n = 0; n < count; n++)
		put_line(level, 0, n);
}

/* Nobody reads: log_end returns all the same, and once somebody reads the rest is there. */
START_TEST(blocked_pipe)
{
	enum { LINES = 20000 };
	enum log_level level = _i ? LOG_LEVEL_ERROR : LOG_LEVEL_INFO;
	int fds[2];
	struct reader reader;
	log_set_level(level);
	ck_assert_int_eq(pipe(fds), 0);
	ck_assert_int_eq(log_start(fds[1]), 0);
	put_lines(level, LINES);
	uint64_t dropped = log_dropped();
	ck_assert_uint_gt(dropped, 0);

	reader_init(&reader, fds[0]);
	reader_start(&reader);
	reader_await(&reader, LINES, level == LOG_LEVEL_INFO);
	log_stop();
	close(fds[1]);
	pthread_join(reader.thread, NULL);
	ck_assert_uint_eq(log_dropped(), dropped);
	ck_assert_uint_eq(reader.lines + dropped, LINES);
	/* One report for the one time that the queue was full; a warning, so not at level error. */
	ck_assert_uint_eq(reader.reports, level == LOG_LEVEL_INFO);
	ck_assert_uint_eq(reader.reported, level == LOG_LEVEL_INFO ? dropped : 0);
}
END_TEST

/* Nobody ever reads: log_stop ends all the same, and so does the caller's own write then. What
 * hangs is ended by the suite's time limit. */
START_TEST(blocked_forever)
{
	enum { LINES = 5000 };
	int fds[2];
	struct reader reader;
	ck_assert_int_eq(pipe2(fds, _i ? O_NONBLOCK : 0), 0);
	ck_assert_int_eq(log_start(fds[1]), 0);
	put_lines(LOG_LEVEL_INFO, LINES);
	log_stop();
	put_line(LOG_LEVEL_INFO, 0, LINES);
	close(fds[1]);
	reader_init(&reader, fds[0]);
	reader_run(&reader);
	ck_assert_uint_gt(reader.lines, 0);
	ck_assert_uint_eq(reader.lines + log_dropped(), LINES + 1);
}
END_TEST

/* Descriptors that take little at a time. */
static void
open_pipe(int fds[2])
{
	ck_assert_int_eq(pipe(fds), 0);
}

static void
open_small_pipe(int fds[2])
{
	ck_assert_int_eq(pipe(fds), 0);
	ck_assert_int_eq(fcntl(fds[1], F_SETFL, O_NONBLOCK), 0);
	ck_assert_int_ge(fcntl(fds[1], F_SETPIPE_SZ, 4096), 4096);
}

static void
open_socket(int fds[2])
{
	int size = 1; /* the kernel's minimum */
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	ck_assert_int_eq(setsockopt(fds[1], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size)), 0);
}

static void
open_nonblocking_socket(int fds[2])
{
	open_socket(fds);
	ck_assert_int_eq(fcntl(fds[1], F_SETFL, O_NONBLOCK), 0);
}

static void (*const openers[])(int fds[2]) = {
	open_pipe,
	open_small_pipe,
	open_socket,
	open_nonblocking_socket,
};

struct producer {
	pthread_t thread;
	uint64_t id;
	uint64_t lines;
};

static void *
producer_run(void *argument)
{
	struct producer *producer = argument;
	for (uint64_t n = 0; n < producer->lines; n++)
		put_line(LOG_LEVEL_INFO, producer->id, n);
	return NULL;
}

static void
produce(int opener, uint64_t lines, struct reader *reader)
{
	struct producer producers[PRODUCERS];
	int fds[2];
	openers[opener](fds);
	ck_assert_int_eq(log_start(fds[1]), 0);
	reader_init(reader, fds[0]);
	reader_start(reader);
	for (uint64_t i = 0; i < PRODUCERS; i++) {
		producers[i] = (struct producer){.id = i, .lines = lines};
		pthread_create(&producers[i].thread, NULL, producer_run, &producers[i]);
	}
	for (size_t i = 0; i < PRODUCERS; i++)
		pthread_join(producers[i].thread, NULL);
	reader_await(reader, PRODUCERS * lines, true);
	log_stop();
	close(fds[1]);
	pthread_join(reader->thread, NULL);
}

/* What fits into the queue comes whole, in each producer's order. */
START_TEST(none_lost)
{
	enum { LINES = 1500 };
	struct reader reader;
	produce(_i, LINES, &reader);
	ck_assert_uint_eq(log_dropped(), 0);
	ck_assert_uint_eq(reader.lines, PRODUCERS * LINES);
	for (size_t i = 0; i < PRODUCERS; i++)
		ck_assert_uint_eq(reader.next[i], LINES);
}
END_TEST

/* More than it can hold: what is lost is counted and told. */
START_TEST(all_counted)
{
	enum { LINES = 20000 };
	struct reader reader;
	produce(_i, LINES, &reader);
	ck_assert_uint_eq(reader.lines + log_dropped(), PRODUCERS * LINES);
	ck_assert_uint_eq(reader.reported, log_dropped());
}
END_TEST

/* A reader that is far too slow for what comes in bursts: the log tells of what it drops meanwhile,
 * but not before half of the queue was written since the last time. */
START_TEST(overload)
{
	enum { ROUNDS = 100, BURST = 5000, READ = 16384 };
	int fds[2];
	struct reader reader;
	ck_assert_int_eq(pipe(fds), 0);
	ck_assert_int_eq(log_start(fds[1]), 0);
	reader_init(&reader, fds[0]);
	for (size_t round = 0; round < ROUNDS; round++) {
		for (uint64_t n = 0; n < BURST; n++)
			put_line(LOG_LEVEL_INFO, 0, round * BURST + n);
		for (size_t done = 0; done < READ;)
			done += reader_read(&reader);
	}
	ck_assert_uint_ge(reader.reports, 1);
	ck_assert_uint_le(reader.reports, ROUNDS * READ / (LOG_QUEUE_MAX / 2));
	reader_start(&reader);
	reader_await(&reader, ROUNDS * BURST, true);
	log_stop();
	close(fds[1]);
	pthread_join(reader.thread, NULL);
	ck_assert_uint_eq(reader.lines + log_dropped(), ROUNDS * BURST);
	ck_assert_uint_eq(reader.reported, log_dropped());
}
END_TEST

static void
await_dropped(uint64_t count)
{
	while (log_dropped() < count)
		poll(NULL, 0, 1);
}

/* A reader that is gone, and a full disk: counted, and the writer stays. */
START_TEST(failing)
{
	enum { LINES = 100 };
	int fds[2] = {-1, -1};
	if (_i) {
		ck_assert_int_eq(pipe(fds), 0);
		close(fds[0]);
	} else {
		fds[1] = open("/dev/full", O_WRONLY);
	}
	ck_assert_int_ge(fds[1], 0);
	ck_assert_int_eq(log_start(fds[1]), 0);
	put_lines(LOG_LEVEL_INFO, LINES);
	await_dropped(LINES);
	put_lines(LOG_LEVEL_INFO, LINES);
	log_stop();
	ck_assert_uint_eq(log_dropped(), 2 * LINES);
	put_line(LOG_LEVEL_INFO, 0, 0); /* written by ourselves */
	ck_assert_uint_eq(log_dropped(), 2 * LINES + 1);
	close(fds[1]);
}
END_TEST

/* Nor does one that says it would block, or was interrupted, cost a line. */
START_TEST(passing_errors)
{
	int fds[2];
	struct reader reader;
	ck_assert_int_eq(pipe(fds), 0);
	fault_order("write", _i % 2 ? EINTR : EAGAIN, 1, 3);
	ck_assert_int_eq(log_start(fds[1]), 0);
	if (_i / 2)
		log_stop();
	put_line(LOG_LEVEL_INFO, 0, 0);
	log_stop();
	close(fds[1]);
	reader_init(&reader, fds[0]);
	reader_run(&reader);
	ck_assert_uint_eq(reader.lines, 1);
	ck_assert_uint_eq(log_dropped(), 0);
}
END_TEST

/* Nobody waits for a pipe that is blocked once the log goes elsewhere: what is queued for it is
 * dropped, and the log is as it was when it comes back. */
START_TEST(elsewhere_and_back)
{
	enum { LINES = 20000 };
	int fds[2];
	struct reader reader;
	log_set_level(LOG_LEVEL_ERROR); /* syslog is told of nothing that was dropped */
	ck_assert_int_eq(pipe(fds), 0);
	ck_assert_int_eq(log_start(fds[1]), 0);
	put_lines(LOG_LEVEL_ERROR, LINES);
	uint64_t dropped = log_dropped();
	log_set_target(LOG_SYSLOG);
	await_dropped(dropped + 1);
	log_set_target(LOG_STDERR);
	ck_assert_uint_gt(log_dropped(), LINES * 9 / 10);
	put_line(LOG_LEVEL_ERROR, 1, 0);
	reader_init(&reader, fds[0]);
	reader_start(&reader);
	reader_await(&reader, LINES + 1, false);
	log_stop();
	close(fds[1]);
	pthread_join(reader.thread, NULL);
	ck_assert_uint_eq(reader.next[1], 1);
	ck_assert_uint_eq(reader.lines + log_dropped(), LINES + 1);
}
END_TEST

/* A file that may not grow past the middle of a line, and then may: that line is ended, not torn,
 * and what was dropped is told. */
START_TEST(recovers)
{
	enum { LINES = 20 };
	int fd = memfd_create("test_log_queue", 0);
	struct rlimit limit;
	struct reader reader;
	ck_assert_int_ge(fd, 0);
	getrlimit(RLIMIT_FSIZE, &limit);
	limit.rlim_cur = 1000 + (rlim_t)_i;
	setrlimit(RLIMIT_FSIZE, &limit);
	ck_assert_int_eq(log_start(fd), 0);
	put_lines(LOG_LEVEL_INFO, LINES);
	await_dropped(1);
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_FSIZE, &limit);
	for (uint64_t n = 0; n < LINES; n++)
		put_line(LOG_LEVEL_INFO, 1, n);
	log_stop();
	lseek(fd, 0, SEEK_SET);
	reader_init(&reader, fd);
	reader_run(&reader);
	close(fd);
	ck_assert_uint_eq(reader.lines + log_dropped(), 2 * LINES);
	ck_assert_uint_ge(reader.reports, 1);
	ck_assert_uint_eq(reader.reported, log_dropped());
	ck_assert_uint_gt(reader.next[1], 0);
}
END_TEST

static uint64_t
lines_in(int fd)
{
	char text[8192];
	uint64_t count = 0;
	ssize_t len = pread(fd, text, sizeof(text), 0);
	for (ssize_t i = 0; i < len; i++)
		count += text[i] == '\n';
	return count;
}

/* The end comes where there is room for so many bytes and no more: for the rest of a line, for half
 * of one, for half of the report. A line is whole or counted, wherever that falls. */
START_TEST(ends_in_the_middle)
{
	enum { LINES = 20, STEP = 7 };
	int fd = memfd_create("test_log_queue", 0);
	struct rlimit limit;
	struct reader reader;
	ck_assert_int_ge(fd, 0);
	getrlimit(RLIMIT_FSIZE, &limit);
	limit.rlim_cur = 1000;
	setrlimit(RLIMIT_FSIZE, &limit);
	ck_assert_int_eq(log_start(fd), 0);
	put_lines(LOG_LEVEL_INFO, LINES);
	while (lines_in(fd) + log_dropped() < LINES - 1) /* but for the one that was begun */
		poll(NULL, 0, 1);
	limit.rlim_cur += (rlim_t)_i * STEP;
	setrlimit(RLIMIT_FSIZE, &limit);
	put_line(LOG_LEVEL_INFO, 1, 0);
	log_stop();
	limit.rlim_cur = limit.rlim_max; /* for what Check writes */
	setrlimit(RLIMIT_FSIZE, &limit);
	lseek(fd, 0, SEEK_SET);
	reader_init(&reader, fd);
	while (reader_read(&reader) > 0)
		;
	close(fd);
	ck_assert_uint_eq(reader.lines + log_dropped(), LINES + 1);
	ck_assert_uint_le(reader.reported, log_dropped());
}
END_TEST

/* A terminal whose other end is stuck holds the writer inside write(2): log_stop returns. */
START_TEST(stuck_terminal)
{
	int main_end = posix_openpt(O_RDWR | O_NOCTTY);
	ck_assert_int_ge(main_end, 0);
	ck_assert_int_eq(grantpt(main_end), 0);
	ck_assert_int_eq(unlockpt(main_end), 0);
	int fd = open(ptsname(main_end), O_RDWR | O_NOCTTY);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(log_start(fd), 0);
	put_lines(LOG_LEVEL_INFO, 5000);
	log_stop();
	ck_assert_uint_gt(log_dropped(), 0);
}
END_TEST

START_TEST(restart)
{
	int fds[2];
	struct reader reader;
	ck_assert_int_eq(pipe(fds), 0);
	ck_assert_int_eq(log_start(fds[1]), 0);
	ck_assert_int_eq(log_start(fds[1]), -1);
	ck_assert_int_eq(errno, EBUSY);
	put_line(LOG_LEVEL_INFO, 0, 0);
	log_stop();
	log_stop();
	put_line(LOG_LEVEL_INFO, 0, 1); /* written by ourselves */
	ck_assert_int_eq(log_start(fds[1]), 0);
	put_line(LOG_LEVEL_INFO, 0, 2);
	log_stop();
	close(fds[1]);
	reader_init(&reader, fds[0]);
	reader_run(&reader);
	ck_assert_uint_eq(reader.lines, 3);
	ck_assert_uint_eq(log_dropped(), 0);
}
END_TEST

static void
ignore_signals(void)
{
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);
}

static void
fill(TCase *cases)
{
	int kinds = sizeof(openers) / sizeof(openers[0]);
	tcase_add_checked_fixture(cases, ignore_signals, NULL);
	tcase_add_loop_test(cases, blocked_pipe, 0, 2);
	tcase_add_loop_test(cases, blocked_forever, 0, 2);
	tcase_add_loop_test(cases, none_lost, 0, kinds);
	tcase_add_loop_test(cases, all_counted, 0, kinds);
	tcase_add_test(cases, overload);
	tcase_add_loop_test(cases, failing, 0, 2);
	tcase_add_loop_test(cases, passing_errors, 0, 4);
	tcase_add_test(cases, elsewhere_and_back);
	tcase_add_loop_test(cases, recovers, 0, 60);
	tcase_add_loop_test(cases, ends_in_the_middle, 0, 60);
	tcase_add_test(cases, stuck_terminal);
	tcase_add_test(cases, restart);
}

UNIT_MAIN("log_queue", fill)

/*
 * The disposable child: whatever it does, this process goes on and hears why.
 */
#include "acl/trial.h"
#include "tests/unit/unit.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static struct trial_limits limits = {.cpu_s = 1, .wall_s = 60, .memory = 64 << 20};

enum {
	BIG = 1 << 20, /* more than a pipe holds */
};

/* Returns what trial_end did; *got is what came through the pipe. */
static int
run(trial_fn *work, void *context, char *got, size_t size, char why[TRIAL_WHY_MAX])
{
	struct trial trial;
	why[0] = '\0';
	ck_assert_int_eq(trial_start(&trial, &limits, work, context, why), 0);
	size_t len = 0;
	while (len < size - 1 && trial_read(&trial, got + len, 1) == 0)
		len++;
	got[len] = '\0';
	return trial_end(&trial, why);
}

static int
say(void *context, int out, char why[TRIAL_WHY_MAX])
{
	(void)why;
	return trial_write(out, context, strlen(context));
}

START_TEST(what_it_writes_arrives)
{
	char got[64], why[TRIAL_WHY_MAX];
	ck_assert_int_eq(run(say, "forty-two", got, sizeof(got), why), 0);
	ck_assert_str_eq(got, "forty-two");
}
END_TEST

static int
say_much(void *context, int out, char why[TRIAL_WHY_MAX])
{
	static char much[BIG];
	(void)why;
	memset(much, *(char *)context, sizeof(much));
	return trial_write(out, much, sizeof(much));
}

START_TEST(more_than_a_pipe_holds_arrives)
{
	static char got[BIG];
	char why[TRIAL_WHY_MAX];
	struct trial trial;
	ck_assert_int_eq(trial_start(&trial, &limits, say_much, "x", why), 0);
	ck_assert_int_eq(trial_read(&trial, got, sizeof(got)), 0);
	ck_assert_int_eq(trial_read(&trial, got, 1), -1);
	ck_assert_int_eq(trial_end(&trial, why), 0);
	for (size_t i = 0; i < sizeof(got); i++)
		ck_assert_int_eq(got[i], 'x');
}
END_TEST

START_TEST(what_nobody_reads_holds_up_nothing)
{
	char why[TRIAL_WHY_MAX];
	struct trial trial;
	ck_assert_int_eq(trial_start(&trial, &limits, say_much, "x", why), 0);
	ck_assert_int_eq(trial_end(&trial, why), 0);
}
END_TEST

static int
give_up(void *context, int out, char why[TRIAL_WHY_MAX])
{
	(void)out;
	snprintf(why, TRIAL_WHY_MAX, "%s", (char *)context);
	return -1;
}

static int
leave(void *context, int out, char why[TRIAL_WHY_MAX])
{
	(void)context;
	(void)out;
	(void)why;
	_exit(0);
}

static int
raise_signal(void *context, int out, char why[TRIAL_WHY_MAX])
{
	(void)out;
	(void)why;
	raise(*(int *)context);
	return 0;
}

static int
spin(void *context, int out, char why[TRIAL_WHY_MAX])
{
	(void)out;
	(void)why;
	const volatile unsigned char *stop = context;
	struct timespec now;
	while (!*stop) /* ThreadSanitizer lets signals in at calls only */
		clock_gettime(CLOCK_MONOTONIC, &now);
	return 0;
}

static int
hang(void *context, int out, char why[TRIAL_WHY_MAX])
{
	(void)out;
	(void)why;
	const volatile unsigned char *stop = context;
	while (!*stop)
		pause();
	return 0;
}

/* Not a tail call, and no loop: the stack runs out. */
__attribute__((noinline)) static unsigned
recurse(volatile unsigned char *above)
{
	volatile unsigned char frame[256];
	frame[0] = above[0];
	return above[0] ? 0 : recurse(frame) + frame[0];
}

static int
overflow(void *context, int out, char why[TRIAL_WHY_MAX])
{
	(void)out;
	(void)why;
	return (int)recurse(context) & 1;
}

static int
eat_memory(void *context, int out, char why[TRIAL_WHY_MAX])
{
	size_t mb = 0;
	(void)context;
	(void)out;
	while (mb < 1024 && malloc(1 << 20))
		mb++;
	snprintf(why, TRIAL_WHY_MAX, "%s", mb < 128 ? "no memory" : "too much memory");
	return -1;
}

START_TEST(why_it_failed_is_told)
{
	static int abort_signal = SIGABRT, bus_signal = SIGBUS, kill_signal = SIGKILL;
	static unsigned char zero[4];
	static const struct {
		trial_fn *work;
		void *context;
		const char *why;
	} rows[] = {
		{give_up, "is no good", "is no good"},
		{leave, NULL, "kills its reader"},
		{raise_signal, &abort_signal, "crashes its reader (Aborted)"},
		{raise_signal, &bus_signal, "crashes its reader (Bus error)"},
		{raise_signal, &kill_signal, "kills its reader"},
		{overflow, zero, "crashes its reader (Segmentation fault)"},
		{spin, zero, "takes its reader more than 1 s of CPU time"},
		{eat_memory, NULL, "no memory"},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
#ifdef UNIT_SANITIZED
		if (rows[i].work == eat_memory) /* in a space reserved at the start */
			continue;
#endif
		char got[64], why[TRIAL_WHY_MAX];
		ck_assert_int_eq(run(rows[i].work, rows[i].context, got, sizeof(got), why), -1);
		ck_assert_str_eq(why, rows[i].why);
		ck_assert_str_eq(got, "");
	}
}
END_TEST

START_TEST(a_hang_ends)
{
	static unsigned char zero[1];
	char got[64], why[TRIAL_WHY_MAX];
	limits.wall_s = 1;
	ck_assert_int_eq(run(hang, zero, got, sizeof(got), why), -1);
	ck_assert_str_eq(why, "was not read within 1 s");
}
END_TEST

static int
list_descriptors(void *context, int out, char why[TRIAL_WHY_MAX])
{
	(void)context;
	(void)why;
	for (int fd = 0; fd < 1000; fd++)
		if (fcntl(fd, F_GETFD) >= 0 && trial_write(out, "x", 1) < 0)
			return -1;
	return 0;
}

/* A session's socket that it kept would not be seen to end. */
START_TEST(it_keeps_one_descriptor)
{
	int ends[2];
	char got[64], why[TRIAL_WHY_MAX];
	ck_assert_int_eq(pipe(ends), 0);
	ck_assert_int_eq(run(list_descriptors, NULL, got, sizeof(got), why), 0);
	ck_assert_str_eq(got, "x");
	close(ends[0]);
	close(ends[1]);
}
END_TEST

/* As libev's loop in another thread does: whoever waits for the child first, the outcome is
 * the same. */
START_TEST(somebody_else_may_wait_for_it)
{
	char got[64], why[TRIAL_WHY_MAX];
	signal(SIGCHLD, SIG_IGN);
	ck_assert_int_eq(run(say, "forty-two", got, sizeof(got), why), 0);
	ck_assert_str_eq(got, "forty-two");
	int number = SIGSEGV;
	ck_assert_int_eq(run(raise_signal, &number, got, sizeof(got), why), -1);
	ck_assert_str_eq(why, "crashes its reader (Segmentation fault)");
	signal(SIGCHLD, SIG_DFL);
}
END_TEST

static volatile sig_atomic_t heard;

static void
on_signal(int number)
{
	heard = number;
}

static int
raise_and_tell(void *context, int out, char why[TRIAL_WHY_MAX])
{
	(void)context;
	(void)why;
	raise(SIGHUP);
	return trial_write(out, heard ? "heard" : "quiet", 5);
}

/* An event loop's handler would write into whatever its descriptor is in the child. */
START_TEST(handlers_of_the_parent_are_quiet)
{
	char got[64], why[TRIAL_WHY_MAX];
	signal(SIGHUP, on_signal);
	ck_assert_int_eq(run(raise_and_tell, NULL, got, sizeof(got), why), 0);
	ck_assert_str_eq(got, "quiet");
	raise(SIGHUP); /* this process hears as before */
	ck_assert_int_eq(heard, SIGHUP);
	signal(SIGHUP, SIG_DFL);
}
END_TEST

static void *
allocate(void *context)
{
	const bool *stop = context;
	while (!__atomic_load_n(stop, __ATOMIC_RELAXED))
		free(malloc(100));
	return NULL;
}

static int
allocate_much(void *context, int out, char why[TRIAL_WHY_MAX])
{
	(void)why;
	for (unsigned i = 0; i < 100; i++)
		free(malloc(1000 * i + 1));
	return say(context, out, why);
}

/* Locks that another thread holds at the fork. */
START_TEST(threads_may_go_on_meanwhile)
{
	bool stop = false;
	pthread_t threads[2];
	for (size_t i = 0; i < 2; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, allocate, &stop), 0);
	for (unsigned i = 0; i < 30; i++) {
		char got[64], why[TRIAL_WHY_MAX];
		ck_assert_msg(run(allocate_much, "well", got, sizeof(got), why) == 0, "%s", why);
		ck_assert_str_eq(got, "well");
	}
	__atomic_store_n(&stop, true, __ATOMIC_RELAXED);
	for (size_t i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
}
END_TEST

START_TEST(nothing_is_left)
{
	int number = SIGSEGV;
	char got[64], why[TRIAL_WHY_MAX];
	int first = dup(0);
	for (unsigned i = 0; i < 5; i++) {
		run(say, "x", got, sizeof(got), why);
		run(raise_signal, &number, got, sizeof(got), why);
	}
	int next = dup(0);
	ck_assert_int_eq(next, first + 1);
	ck_assert_int_eq(waitpid(-1, NULL, WNOHANG), -1);
	ck_assert_int_eq(errno, ECHILD);
	close(first);
	close(next);
}
END_TEST

static void
fill(TCase *cases)
{
	tcase_add_test(cases, what_it_writes_arrives);
	tcase_add_test(cases, more_than_a_pipe_holds_arrives);
	tcase_add_test(cases, what_nobody_reads_holds_up_nothing);
	tcase_add_test(cases, why_it_failed_is_told);
	tcase_add_test(cases, a_hang_ends);
	tcase_add_test(cases, it_keeps_one_descriptor);
	tcase_add_test(cases, somebody_else_may_wait_for_it);
	tcase_add_test(cases, handlers_of_the_parent_are_quiet);
	tcase_add_test(cases, threads_may_go_on_meanwhile);
	tcase_add_test(cases, nothing_is_left);
}

UNIT_MAIN("trial", fill)

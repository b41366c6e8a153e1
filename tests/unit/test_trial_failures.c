/*
 * The disposable child where the system refuses what it needs, and where it stays too long.
 */
#include "acl/trial.h"
#include "tests/unit/unit.h"

#include <dlfcn.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* The next call of this name fails with this error, here or in the child; NULL = none. */
static const char *refused_call;
static int refused_error;

static bool
refuses(const char *call)
{
	if (!refused_call || strcmp(refused_call, call) != 0)
		return false;
	refused_call = NULL;
	errno = refused_error;
	return true;
}

#define WRAP(type, failure, name, parameters, arguments)                             \
	type name parameters                                                         \
	{                                                                            \
		__typeof__(&name) real = (__typeof__(&name))dlsym(RTLD_NEXT, #name); \
		return refuses(#name) ? (failure) : real arguments;                  \
	}

WRAP(void *, MAP_FAILED, mmap,
	(void *at, size_t len, int protection, int flags, int fd, off_t offset),
	(at, len, protection, flags, fd, offset))
WRAP(int, -1, pipe2, (int ends[2], int flags), (ends, flags))
WRAP(pid_t, -1, fork, (void), ())
WRAP(int, -1, dup2, (int from, int to), (from, to))
WRAP(int, -1, close_range, (unsigned first, unsigned last, int flags), (first, last, flags))
WRAP(FILE *, NULL, fopen, (const char *restrict path, const char *restrict mode), (path, mode))
WRAP(int, -1, poll, (struct pollfd * fds, nfds_t count, int timeout), (fds, count, timeout))
WRAP(pid_t, -1, waitpid, (pid_t pid, int *status, int options), (pid, status, options))

static struct trial_limits limits = {.cpu_s = 5, .wall_s = 60, .memory = 64 << 20};

static void
refuse(const char *call, int error)
{
	refused_call = call;
	refused_error = error;
}

static int
say(void *context, int out, char why[TRIAL_WHY_MAX])
{
	(void)why;
	return trial_write(out, context, strlen(context));
}

/* What say(context) sends arrives whole, and nothing is left of the child. */
static void
must_work(char *context)
{
	char got[16] = "", why[TRIAL_WHY_MAX] = "";
	struct trial trial;
	ck_assert_int_eq(trial_start(&trial, &limits, say, context, why), 0);
	ck_assert_int_eq(trial_read(&trial, got, strlen(context)), 0);
	ck_assert_msg(trial_end(&trial, why) == 0, "%s", why);
	ck_assert_str_eq(got, context);
	ck_assert_int_eq(waitpid(-1, NULL, 0), -1);
	ck_assert_int_eq(errno, ECHILD);
}

static int
next_descriptor(void)
{
	int fd = dup(0);
	close(fd);
	return fd;
}

START_TEST(what_can_not_start_says_why)
{
	static const struct {
		const char *call;
		int error;
		const char *why;
	} rows[] = {
		{"mmap", ENOMEM, "can't be read in a process of its own: Cannot allocate memory"},
		{"pipe2", EMFILE, "can't be read in a process of its own: Too many open files"},
		{"fork", EAGAIN,
			"can't be read in a process of its own: Resource temporarily unavailable"},
	};
	int before = next_descriptor();
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char why[TRIAL_WHY_MAX] = "";
		struct trial trial;
		refuse(rows[i].call, rows[i].error);
		ck_assert_int_eq(trial_start(&trial, &limits, say, "x", why), -1);
		ck_assert_str_eq(why, rows[i].why);
		ck_assert_int_eq(next_descriptor(), before);
		must_work("well");
	}
}
END_TEST

/* It would keep the sessions' sockets. */
START_TEST(a_child_that_can_not_close_the_rest_does_nothing)
{
	static const char *const calls[] = {"dup2", "close_range"};
	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
		char got, why[TRIAL_WHY_MAX] = "";
		struct trial trial;
		refuse(calls[i], EBADF);
		ck_assert_int_eq(trial_start(&trial, &limits, say, "x", why), 0);
		refused_call = NULL;
		ck_assert_int_eq(trial_read(&trial, &got, 1), -1);
		ck_assert_int_eq(trial_end(&trial, why), -1);
		ck_assert_str_eq(why, "kills its reader");
	}
}
END_TEST

START_TEST(interruptions_do_not_show)
{
	refuse("poll", EINTR);
	must_work("well");
	ck_assert_ptr_null(refused_call);
	refuse("waitpid", EINTR);
	must_work("well");
	ck_assert_ptr_null(refused_call);
}
END_TEST

START_TEST(what_can_not_be_written)
{
	ck_assert_int_eq(trial_write(-1, "x", 1), -1);
	ck_assert_int_eq(trial_write(-1, "x", 0), 0);
}
END_TEST

static const __rlimit_resource_t told[] = {RLIMIT_CORE, RLIMIT_CPU, RLIMIT_AS};

static int
tell_limits(void *context, int out, char why[TRIAL_WHY_MAX])
{
	(void)context;
	(void)why;
	for (size_t i = 0; i < sizeof(told) / sizeof(told[0]); i++) {
		struct rlimit limit;
		if (getrlimit(told[i], &limit) < 0 ||
			trial_write(out, &limit.rlim_cur, sizeof(limit.rlim_cur)) < 0)
			return -1;
	}
	return 0;
}

/* Of the child, in the order of `told`. */
static void
read_limits(rlim_t got[3])
{
	char why[TRIAL_WHY_MAX] = "";
	struct trial trial;
	ck_assert_int_eq(trial_start(&trial, &limits, tell_limits, NULL, why), 0);
	refused_call = NULL;
	ck_assert_int_eq(trial_read(&trial, got, 3 * sizeof(got[0])), 0);
	ck_assert_msg(trial_end(&trial, why) == 0, "%s", why);
}

static void
limit_own(__rlimit_resource_t resource, rlim_t value)
{
	struct rlimit limit;
	ck_assert_int_eq(getrlimit(resource, &limit), 0);
	limit.rlim_cur = value;
	ck_assert_int_eq(setrlimit(resource, &limit), 0);
}

START_TEST(limits_are_lowered_and_never_raised)
{
	rlim_t got[3];
	limit_own(RLIMIT_CPU, 1000);
	read_limits(got);
	ck_assert_uint_eq(got[0], 0);
	ck_assert_uint_eq(got[1], 5);
	ck_assert_uint_gt(got[2], limits.memory);
	ck_assert_uint_ne(got[2], RLIM_INFINITY);
	limit_own(RLIMIT_CPU, 4);
	limit_own(RLIMIT_CORE, 0);
	read_limits(got);
	ck_assert_uint_eq(got[0], 0);
	ck_assert_uint_eq(got[1], 4);
}
END_TEST

/* How much there is already is in /proc: without it the others have to do. */
START_TEST(without_proc_memory_is_not_limited)
{
	rlim_t got[3];
	struct rlimit own;
	ck_assert_int_eq(getrlimit(RLIMIT_AS, &own), 0);
	refuse("fopen", ENOENT);
	read_limits(got);
	ck_assert_uint_eq(got[1], 5);
	ck_assert_uint_eq(got[2], own.rlim_cur);
}
END_TEST

static uint64_t
now_ms(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static int
say_and_hang(void *context, int out, char why[TRIAL_WHY_MAX])
{
	int said = say(context, out, why);
	while (said == 0)
		pause();
	return said;
}

/* As a disk would hold one up, past its own alarm. It is killed; this process waits no longer. */
START_TEST(one_that_is_late_is_given_up)
{
	char got[5] = "", why[TRIAL_WHY_MAX] = "";
	int status;
	struct trial trial;
	ck_assert_int_eq(trial_start(&trial, &limits, say_and_hang, "well", why), 0);
	ck_assert_int_eq(trial_read(&trial, got, 4), 0);
	trial.deadline_ms = now_ms() + 20;
	ck_assert_int_eq(trial_read(&trial, got, 1), -1);
	ck_assert_str_eq(got, "well");
	refuse("waitpid", ECHILD);
	ck_assert_int_eq(trial_end(&trial, why), -1);
	ck_assert_str_eq(why, "was not read within 60 s");
	ck_assert_int_eq(waitpid(trial.pid, &status, 0), trial.pid);
	ck_assert(WIFSIGNALED(status));
	ck_assert_int_eq(WTERMSIG(status), SIGKILL);
}
END_TEST

static int
leave_somebody(void *context, int out, char why[TRIAL_WHY_MAX])
{
	(void)context;
	(void)why;
	pid_t pid = fork();
	while (pid == 0)
		pause();
	return trial_write(out, &pid, sizeof(pid));
}

/* The work is done, but the pipe's end, up to which all has been read, does not come. */
START_TEST(one_that_is_done_and_late_is_late)
{
	char why[TRIAL_WHY_MAX] = "";
	pid_t left = 0;
	siginfo_t info;
	struct trial trial;
	ck_assert_int_eq(trial_start(&trial, &limits, leave_somebody, NULL, why), 0);
	ck_assert_int_eq(trial_read(&trial, &left, sizeof(left)), 0);
	ck_assert_int_gt(left, 0);
	ck_assert_int_eq(waitid(P_PID, (id_t)trial.pid, &info, WEXITED | WNOWAIT), 0);
	trial.deadline_ms = 0;
	int result = trial_end(&trial, why);
	kill(left, SIGKILL);
	ck_assert_int_eq(result, -1);
	ck_assert_str_eq(why, "was not read within 60 s");
}
END_TEST

static void
fill(TCase *cases)
{
	tcase_add_test(cases, what_can_not_start_says_why);
	tcase_add_test(cases, a_child_that_can_not_close_the_rest_does_nothing);
	tcase_add_test(cases, interruptions_do_not_show);
	tcase_add_test(cases, what_can_not_be_written);
	tcase_add_test(cases, limits_are_lowered_and_never_raised);
	tcase_add_test(cases, without_proc_memory_is_not_limited);
	tcase_add_test(cases, one_that_is_late_is_given_up);
	tcase_add_test(cases, one_that_is_done_and_late_is_late);
}

UNIT_MAIN("trial_failures", fill)

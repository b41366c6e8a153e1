/*
 * The disposable child. The parent's half runs in whichever thread loads; the note is a page that
 * both share, written by the child and read when the pipe is at its end.
 */
#include "acl/trial.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
	OUT = 3,               /* the only descriptor that the child keeps */
	STACK_SIZE = 64 << 10, /* for the handler, when the stack itself has run out */
	GRACE_S = 5,           /* for a child whose end the disk holds up */
	STATM_MAX = 64,
};

struct trial_note {
	volatile sig_atomic_t signal; /* that ended the work */
	bool done;
	char why[TRIAL_WHY_MAX];
};

static const int faults[] = {
	SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP, SIGSYS, SIGXCPU, SIGALRM};

static struct trial_note *own_note; /* the child's */

static uint64_t
now_ms(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* In the child. */

static void
on_fault(int number)
{
	own_note->signal = number;
	_exit(EXIT_FAILURE);
}

static void
catch_faults(void)
{
	static char stack[STACK_SIZE];
	stack_t other = {.ss_sp = stack, .ss_size = sizeof(stack)};
	sigaltstack(&other, NULL);
	struct sigaction action = {.sa_handler = on_fault, .sa_flags = SA_ONSTACK};
	sigset_t blocked;
	sigfillset(&blocked);
	for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
		sigaction(faults[i], &action, NULL);
		sigdelset(&blocked, faults[i]);
	}
	sigprocmask(SIG_SETMASK, &blocked, NULL);
}

/* Bytes of address space that this process has now; 0 when that can't be told. */
static uint64_t
address_space(void)
{
	char text[STATM_MAX] = "";
	FILE *file = fopen("/proc/self/statm", "re");
	if (!file)
		return 0;
	const char *line = fgets(text, sizeof(text), file);
	(void)line;
	fclose(file);
	return strtoull(text, NULL, 10) * (uint64_t)sysconf(_SC_PAGESIZE);
}

static void
lower(__rlimit_resource_t resource, uint64_t value)
{
	struct rlimit limit = {0};
	getrlimit(resource, &limit);
	if (limit.rlim_cur > value)
		limit.rlim_cur = value;
	setrlimit(resource, &limit);
}

static void
limit_self(const struct trial_limits *limits)
{
	uint64_t space = address_space();
	lower(RLIMIT_CORE, 0);
	lower(RLIMIT_CPU, limits->cpu_s);
	if (space)
		lower(RLIMIT_AS, space + limits->memory);
	/* Where cores go to a program, RLIMIT_CORE says nothing. */
	prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	alarm(limits->wall_s);
}

/* A child that kept the sessions' sockets would keep their ends from being seen. */
static int
close_others(int out)
{
	if (dup2(out, OUT) < 0)
		return -1;
	close(STDIN_FILENO);
	close(STDOUT_FILENO);
	close(STDERR_FILENO);
	return close_range(OUT + 1, ~0U, 0);
}

__attribute__((noreturn)) static void
live(const struct trial *trial, int out, trial_fn *work, void *context)
{
	own_note = trial->note;
	if (close_others(out) < 0)
		_exit(EXIT_FAILURE);
	catch_faults();
	limit_self(&trial->limits);
	own_note->done = work(context, OUT, own_note->why) == 0;
	_exit(EXIT_SUCCESS);
}

int
trial_write(int out, const void *buf, size_t len)
{
	const char *rest = buf;
	while (len > 0) {
		ssize_t n = write(out, rest, len);
		if (n < 0)
			return -1;
		rest += n;
		len -= (size_t)n;
	}
	return 0;
}

/* In the parent. */

/* The signals that a loop waits for must find no handler of ours in the child. */
static pid_t
fork_quietly(void)
{
	sigset_t all, before;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	pid_t pid = fork();
	if (pid != 0)
		pthread_sigmask(SIG_SETMASK, &before, NULL);
	return pid;
}

int
trial_start(struct trial *trial, const struct trial_limits *limits, trial_fn *work, void *context,
	char why[TRIAL_WHY_MAX])
{
	int ends[2] = {-1, -1};
	*trial = (struct trial){.limits = *limits};
	trial->deadline_ms = now_ms() + (limits->wall_s + GRACE_S) * UINT64_C(1000);
	trial->note = mmap(NULL, sizeof(*trial->note), PROT_READ | PROT_WRITE,
		MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (trial->note == MAP_FAILED)
		goto fail;
	if (pipe2(ends, O_CLOEXEC) < 0)
		goto fail;
	trial->pid = fork_quietly();
	if (trial->pid < 0)
		goto fail;
	if (trial->pid == 0)
		live(trial, ends[1], work, context);
	close(ends[1]);
	trial->in = ends[0];
	return 0;
fail:
	snprintf(why, TRIAL_WHY_MAX, "can't be read in a process of its own: %s", strerror(errno));
	if (ends[0] >= 0) {
		close(ends[0]);
		close(ends[1]);
	}
	if (trial->note != MAP_FAILED)
		munmap(trial->note, sizeof(*trial->note));
	return -1;
}

/* Returns how many bytes came; none or -1 at the end or past the deadline. */
static ssize_t
read_some(struct trial *trial, void *buf, size_t len)
{
	for (;;) {
		uint64_t now = now_ms();
		trial->late |= now >= trial->deadline_ms;
		if (trial->late)
			return 0;
		struct pollfd ready = {.fd = trial->in, .events = POLLIN};
		if (poll(&ready, 1, (int)(trial->deadline_ms - now)) <= 0)
			continue;
		return read(trial->in, buf, len);
	}
}

int
trial_read(struct trial *trial, void *buf, size_t len)
{
	char *rest = buf;
	while (len > 0) {
		ssize_t n = read_some(trial, rest, len);
		if (n <= 0)
			return -1;
		rest += n;
		len -= (size_t)n;
	}
	return 0;
}

/* The pipe's end tells that the child is over, or as good as: its descriptors are closed. One that
 * hangs in the kernel, past SIGALRM, is left to whoever waits for children. */
static void
await_end(struct trial *trial)
{
	char rest[4096];
	while (read_some(trial, rest, sizeof(rest)) > 0)
		;
	if (trial->late)
		kill(trial->pid, SIGKILL);
	while (waitpid(trial->pid, NULL, trial->late ? WNOHANG : 0) < 0 && errno == EINTR)
		;
}

static void
say_why(const struct trial *trial, char why[TRIAL_WHY_MAX])
{
	const struct trial_note *note = trial->note;
	int number = note->signal;
	if (trial->late || number == SIGALRM)
		snprintf(why, TRIAL_WHY_MAX, "was not read within %u s", trial->limits.wall_s);
	else if (number == SIGXCPU)
		snprintf(why, TRIAL_WHY_MAX, "takes its reader more than %u s of CPU time",
			trial->limits.cpu_s);
	else if (number)
		snprintf(why, TRIAL_WHY_MAX, "crashes its reader (%s)", sigdescr_np(number));
	else if (note->why[0])
		snprintf(why, TRIAL_WHY_MAX, "%.*s", TRIAL_WHY_MAX - 1, note->why);
	else
		snprintf(why, TRIAL_WHY_MAX, "kills its reader");
}

int
trial_end(struct trial *trial, char why[TRIAL_WHY_MAX])
{
	await_end(trial);
	close(trial->in);
	bool done = trial->note->done && !trial->late;
	if (!done)
		say_why(trial, why);
	munmap(trial->note, sizeof(*trial->note));
	return done ? 0 : -1;
}

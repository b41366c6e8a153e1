/*
 * See spawn.h. Between fork and exec only what is safe in a signal handler is called, since other
 * threads may have held any lock: all memory is had before.
 */
#include "lb/spawn.h"

#include "lb/activation.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

enum {
	NUMBER_MAX = 24, /* a number's text */
	ADDED = 4,       /* variables */
	DECIMAL = 10,
	NAME_MAX_LEN = 64,
};

/* All that the child needs. */
struct plan {
	const struct spawn *spawn;
	int *moved; /* where the descriptors are while their places are not free */
	char **environment;
	char *pid; /* where its text goes, of NUMBER_MAX bytes */
	char pid_entry[NAME_MAX_LEN], count_entry[NAME_MAX_LEN], talk_entry[NAME_MAX_LEN],
		names_entry[NAME_MAX_LEN];
};

static const char pid_name[] = "LISTEN_PID=";

static int
plan_init(struct plan *plan, const struct spawn *spawn)
{
	size_t count = 0;
	while (environ[count])
		count++;
	*plan = (struct plan){
		.spawn = spawn,
		.moved = calloc(spawn->socket_count + 1, sizeof(int)),
		.environment = calloc(count + ADDED + 1, sizeof(char *)),
	};
	if (!plan->moved || !plan->environment)
		return -1;
	snprintf(plan->pid_entry, sizeof(plan->pid_entry), "%s", pid_name);
	snprintf(plan->count_entry, sizeof(plan->count_entry), "LISTEN_FDS=%zu",
		spawn->socket_count);
	snprintf(plan->talk_entry, sizeof(plan->talk_entry), "%s=%zu", spawn->talk_name,
		ACTIVATION_FIRST_FD + spawn->socket_count);
	snprintf(plan->names_entry, sizeof(plan->names_entry), "LISTEN_FDNAMES=%s", spawn->names);
	plan->pid = plan->pid_entry + sizeof(pid_name) - 1;
	memcpy(plan->environment, environ, count * sizeof(char *));
	plan->environment[count] = plan->pid_entry;
	plan->environment[count + 1] = plan->count_entry;
	plan->environment[count + 2] = plan->talk_entry;
	plan->environment[count + 3] = plan->names_entry;
	return 0;
}

static void
plan_fini(struct plan *plan)
{
	free(plan->moved);
	free(plan->environment);
}

/* In the child. */

static void
write_number(char *to, unsigned long number)
{
	char digits[NUMBER_MAX];
	size_t len = 0;
	do {
		digits[len++] = (char)('0' + number % DECIMAL);
		number /= DECIMAL;
	} while (number > 0);
	while (len > 0)
		*to++ = digits[--len];
	*to = '\0';
}

/* To where the protocol wants them, out of each other's way. */
static int
place_descriptors(const struct plan *plan)
{
	const struct spawn *spawn = plan->spawn;
	int count = (int)spawn->socket_count;
	int behind = ACTIVATION_FIRST_FD + count + 1;
	for (int i = 0; i <= count; i++) {
		int fd = i < count ? spawn->sockets[i] : spawn->talk;
		plan->moved[i] = fcntl(fd, F_DUPFD_CLOEXEC, behind);
		if (plan->moved[i] < 0)
			return -1;
	}
	for (int i = 0; i <= count; i++) {
		if (dup2(plan->moved[i], ACTIVATION_FIRST_FD + i) < 0)
			return -1;
	}
	return 0;
}

/* Whoever has none to keep, keeps none. libc has no wrappers. */
static void
keep_capabilities(void)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];
	if (geteuid() == 0 || syscall(SYS_capget, &header, data) < 0)
		return;
	for (size_t i = 0; i < _LINUX_CAPABILITY_U32S_3; i++)
		data[i].inheritable = data[i].permitted;
	if (syscall(SYS_capset, &header, data) == 0)
		prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_NET_BIND_SERVICE, 0, 0);
}

/* Until it heeds them itself, those by which nobody wants to end it don't. */
static void
forget_signals(void)
{
	sigset_t none;
	signal(SIGHUP, SIG_IGN);
	signal(SIGUSR2, SIG_IGN);
	signal(SIGINT, SIG_DFL);
	signal(SIGTERM, SIG_DFL);
	signal(SIGCHLD, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

/* Where the talk was there may be another by now. */
static _Noreturn void
fail(const struct plan *plan)
{
	char message[1 + sizeof(int)] = {SPAWN_FAILED};
	int moved = plan->moved[plan->spawn->socket_count];
	memcpy(message + 1, &errno, sizeof(int));
	ssize_t written = write(moved > 0 ? moved : plan->spawn->talk, message, sizeof(message));
	_exit(written == (ssize_t)sizeof(message) ? EXIT_SUCCESS : EXIT_FAILURE);
}

static _Noreturn void
become(const struct plan *plan)
{
	write_number(plan->pid, (unsigned long)getpid());
	keep_capabilities();
	if (place_descriptors(plan) == 0) {
		forget_signals();
		execve(plan->spawn->path, plan->spawn->arguments, plan->environment);
	}
	fail(plan);
}

/* fork(2), with a choice of parent, and a handle. libc has no wrapper that returns twice. */
static pid_t
divide(unsigned long parent, int *handle)
{
	return (pid_t)syscall(SYS_clone, parent | CLONE_PIDFD | SIGCHLD, NULL, handle, NULL, NULL);
}

pid_t
spawn_start(const struct spawn *spawn, int *handle)
{
	struct plan plan;
	sigset_t all, before;
	pid_t pid = -1;
	/* No handler of ours may run in the child. */
	sigfillset(&all);
	if (plan_init(&plan, spawn) == 0) {
		pthread_sigmask(SIG_SETMASK, &all, &before);
		*handle = -1;
		pid = divide(CLONE_PARENT, handle);
		if (pid < 0 && errno == EINVAL)
			pid = divide(0, handle);
		if (pid == 0)
			become(&plan);
		pthread_sigmask(SIG_SETMASK, &before, NULL);
	}
	int error = errno;
	plan_fini(&plan);
	errno = error;
	return pid;
}

/*
 * System calls that fail to order, in the test program that includes this: its own code, the code
 * under test and libev call these, which pass on what no fault is ordered for. Once a program;
 * faults are ordered before there is any other thread that calls.
 */
#ifndef TESTS_UNIT_FAULTS_H
#define TESTS_UNIT_FAULTS_H

#include <check.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	FAULTS_MAX = 4,
};

/* From the first to the last of the calls that come after the order, counted from 1. */
struct fault {
	const char *call; /* NULL = none */
	int error;        /* 0, for connect: it blocks, and so the connection stands at once */
	unsigned first, last;
	unsigned seen;
};

static struct fault faults[FAULTS_MAX];

static inline void
fault_order(const char *call, int error, unsigned first, unsigned last)
{
	for (size_t i = 0; i < FAULTS_MAX; i++) {
		if (faults[i].call)
			continue;
		faults[i] = (struct fault){call, error, first, last, 0};
		return;
	}
	ck_abort_msg("too many faults");
}

static inline void
faults_clear(void)
{
	memset(faults, 0, sizeof(faults));
}

/* Counts a call. Returns the fault that it has, NULL for none. */
static inline const struct fault *
fault_of(const char *call)
{
	const struct fault *found = NULL;
	for (size_t i = 0; i < FAULTS_MAX; i++) {
		struct fault *fault = &faults[i];
		if (!fault->call || strcmp(fault->call, call) != 0)
			continue;
		fault->seen++;
		if (fault->seen >= fault->first && fault->seen <= fault->last)
			found = fault;
	}
	return found;
}

static inline bool
fails(const char *call)
{
	const struct fault *fault = fault_of(call);
	if (fault)
		errno = fault->error;
	return fault != NULL;
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

#define WRAP(type, name, parameters, arguments)                  \
	type name parameters                                     \
	{                                                        \
		return fails(#name) ? -1 : REAL(name) arguments; \
	}

WRAP(int, epoll_ctl, (int fd, int order, int other, struct epoll_event *event),
	(fd, order, other, event))
WRAP(int, socket, (int domain, int type, int protocol), (domain, type, protocol))
WRAP(int, bind, (int fd, const struct sockaddr *sa, socklen_t len), (fd, sa, len))
WRAP(int, listen, (int fd, int backlog), (fd, backlog))
WRAP(int, getsockname, (int fd, struct sockaddr *sa, socklen_t *len), (fd, sa, len))
WRAP(int, getsockopt, (int fd, int level, int option, void *value, socklen_t *len),
	(fd, level, option, value, len))
WRAP(int, setsockopt, (int fd, int level, int option, const void *value, socklen_t len),
	(fd, level, option, value, len))
WRAP(ssize_t, recv, (int fd, void *bytes, size_t len, int flags), (fd, bytes, len, flags))
WRAP(ssize_t, send, (int fd, const void *bytes, size_t len, int flags), (fd, bytes, len, flags))
WRAP(ssize_t, write, (int fd, const void *bytes, size_t len), (fd, bytes, len))

int
connect(int fd, const struct sockaddr *sa, socklen_t len)
{
	const struct fault *fault = fault_of("connect");
	if (fault && fault->error) {
		errno = fault->error;
		return -1;
	}
	int flags = fcntl(fd, F_GETFL);
	if (fault)
		fcntl(fd, F_SETFL, flags & ~O_NONBLOCK);
	int result = REAL(connect)(fd, sa, len);
	if (fault)
		fcntl(fd, F_SETFL, flags);
	return result;
}

#endif

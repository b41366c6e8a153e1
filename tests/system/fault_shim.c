/*
 * Preloaded into the balancer by faults.py: counts the calls of functions that can fail, and lets
 * the one that is armed fail from its `first` call after the arming to its `last`, with an errno.
 * The file which FAULT_SHIM names is mapped, and written by the test at any time. Any thread.
 *
 * All allocations count as one function, `memory`: what else allocates (asprintf, fopen, threads)
 * calls these. Those that libconfuse makes itself do not count: it does not survive one that fails,
 * and is provided for (acl/mem.h).
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <pthread.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* As faults.py has them, in this order. */
enum function {
	F_memory,
	F_socket,
	F_bind,
	F_listen,
	F_accept4,
	F_connect,
	F_getsockname,
	F_getpeername,
	F_getsockopt,
	F_setsockopt,
	F_read,
	F_write,
	F_recv,
	F_send,
	F_shutdown,
	F_epoll_create1,
	F_epoll_ctl,
	F_epoll_wait,
	F_eventfd,
	F_fcntl,
	F_open,
	F_fopen,
	F_fstat,
	F_stat,
	F_getrandom,
	F_pthread_create,
	F_poll,
	F_fork,
	F_pipe2,
	F_memfd_create,
	F_mmap,
	F_socketpair,
	F_clone,
	F_sendmsg,
	F_lstat,
	F_fchmod,
	F_chmod,
	F_unlink,
	F_getpwnam,
	F_prctl,
	F_initgroups,
	F_setresgid,
	F_setresuid,
	F_capset,
	FUNCTIONS,
};

struct control {
	int32_t armed; /* -1 = none */
	int32_t error;
	uint64_t first, last; /* from 1 */
	uint64_t seen;        /* calls of the armed function since */
	uint64_t failed;      /* how many of them failed */
	uint64_t calls[FUNCTIONS];
};

static struct control *control; /* NULL before the constructor has run */

__attribute__((constructor)) static void
map_control(void)
{
	const char *file = getenv("FAULT_SHIM");
	int fd = file ? open(file, O_RDWR | O_CLOEXEC) : -1;
	if (fd < 0)
		_exit(99);
	void *map = mmap(NULL, sizeof(*control), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	if (map == MAP_FAILED)
		_exit(99);
	control = map;
}

static int
fails(enum function function)
{
	if (!control)
		return 0;
	__atomic_add_fetch(&control->calls[function], 1, __ATOMIC_RELAXED);
	if (__atomic_load_n(&control->armed, __ATOMIC_ACQUIRE) != (int)function)
		return 0;
	uint64_t seen = __atomic_add_fetch(&control->seen, 1, __ATOMIC_RELAXED);
	if (seen < control->first || seen > control->last)
		return 0;
	__atomic_add_fetch(&control->failed, 1, __ATOMIC_RELAXED);
	errno = control->error;
	return 1;
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

#define WRAP(type, name, parameters, arguments)               \
	type name parameters                                  \
	{                                                     \
		static __typeof__(&name) real;                \
		if (!real)                                    \
			real = REAL(name);                    \
		return fails(F_##name) ? -1 : real arguments; \
	}

extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *block, size_t size);

static _Thread_local int library_depth; /* in a function of libc that libconfuse called */

/* Where libconfuse's code is; asked by its callers only. */
static int
is_library(void *caller)
{
	static const char *start, *end;
	if (!end) {
		const char *symbol = dlsym(RTLD_DEFAULT, "cfg_init");
		Dl_info info;
		if (!symbol || !dladdr(symbol, &info))
			return 0;
		start = info.dli_fbase;
		end = start + 0x100000;
	}
	return (const char *)caller >= start && (const char *)caller < end;
}

/* The whole library is within a megabyte of its start, and nothing else is. */
static int
refuses(void *caller)
{
	return control && control->armed == F_memory && !library_depth && !is_library(caller) &&
	       fails(F_memory);
}

void *
malloc(size_t size)
{
	return refuses(__builtin_return_address(0)) ? NULL : __libc_malloc(size);
}

void *
calloc(size_t count, size_t size)
{
	return refuses(__builtin_return_address(0)) ? NULL : __libc_calloc(count, size);
}

void *
realloc(void *block, size_t size)
{
	return refuses(__builtin_return_address(0)) ? NULL : __libc_realloc(block, size);
}

void *
reallocarray(void *block, size_t count, size_t size)
{
	size_t bytes;
	if (__builtin_mul_overflow(count, size, &bytes)) {
		errno = ENOMEM;
		return NULL;
	}
	return refuses(__builtin_return_address(0)) ? NULL : __libc_realloc(block, bytes);
}

static char *
copy(const char *text, size_t len, void *caller)
{
	char *copied = refuses(caller) ? NULL : __libc_malloc(len + 1);
	if (!copied)
		return NULL;
	memcpy(copied, text, len);
	copied[len] = '\0';
	return copied;
}

char *
strdup(const char *text)
{
	return copy(text, strlen(text), __builtin_return_address(0));
}

char *
strndup(const char *text, size_t len)
{
	return copy(text, strnlen(text, len), __builtin_return_address(0));
}

/* The streams are libconfuse's alone, and a read of them, its first, allocates their buffer. */
FILE *
fmemopen(void *bytes, size_t len, const char *mode)
{
	static __typeof__(&fmemopen) real;
	if (!real)
		real = REAL(fmemopen);
	library_depth++;
	FILE *stream = real(bytes, len, mode);
	if (stream)
		ungetc(getc(stream), stream);
	library_depth--;
	return stream;
}

WRAP(int, socket, (int domain, int type, int protocol), (domain, type, protocol))
WRAP(int, bind, (int fd, const struct sockaddr *sa, socklen_t len), (fd, sa, len))
WRAP(int, listen, (int fd, int backlog), (fd, backlog))
WRAP(int, accept4, (int fd, struct sockaddr *sa, socklen_t *len, int flags), (fd, sa, len, flags))
WRAP(int, connect, (int fd, const struct sockaddr *sa, socklen_t len), (fd, sa, len))
WRAP(int, getsockname, (int fd, struct sockaddr *sa, socklen_t *len), (fd, sa, len))
WRAP(int, getpeername, (int fd, struct sockaddr *sa, socklen_t *len), (fd, sa, len))
WRAP(int, getsockopt, (int fd, int level, int option, void *value, socklen_t *len),
	(fd, level, option, value, len))
WRAP(int, setsockopt, (int fd, int level, int option, const void *value, socklen_t len),
	(fd, level, option, value, len))
WRAP(ssize_t, read, (int fd, void *bytes, size_t len), (fd, bytes, len))
WRAP(ssize_t, recv, (int fd, void *bytes, size_t len, int flags), (fd, bytes, len, flags))
WRAP(ssize_t, send, (int fd, const void *bytes, size_t len, int flags), (fd, bytes, len, flags))
WRAP(int, shutdown, (int fd, int how), (fd, how))
WRAP(int, epoll_create1, (int flags), (flags))
WRAP(int, epoll_wait, (int fd, struct epoll_event *events, int max, int timeout),
	(fd, events, max, timeout))
WRAP(int, eventfd, (unsigned value, int flags), (value, flags))
WRAP(int, fstat, (int fd, struct stat *st), (fd, st))
WRAP(int, stat, (const char *path, struct stat *st), (path, st))
WRAP(ssize_t, getrandom, (void *bytes, size_t len, unsigned flags), (bytes, len, flags))
WRAP(int, poll, (struct pollfd * fds, nfds_t count, int timeout), (fds, count, timeout))
WRAP(pid_t, fork, (void), ())
WRAP(int, pipe2, (int fds[2], int flags), (fds, flags))
WRAP(ssize_t, sendmsg, (int fd, const struct msghdr *message, int flags), (fd, message, flags))
WRAP(int, lstat, (const char *path, struct stat *st), (path, st))
WRAP(int, fchmod, (int fd, mode_t mode), (fd, mode))
WRAP(int, chmod, (const char *path, mode_t mode), (path, mode))
WRAP(int, unlink, (const char *path), (path))
WRAP(int, socketpair, (int domain, int type, int protocol, int fds[2]),
	(domain, type, protocol, fds))
WRAP(int, memfd_create, (const char *name, unsigned flags), (name, flags))

WRAP(int, initgroups, (const char *user, gid_t group), (user, group))
WRAP(int, setresgid, (gid_t real_id, gid_t effective, gid_t saved), (real_id, effective, saved))
WRAP(int, setresuid, (uid_t real_id, uid_t effective, uid_t saved), (real_id, effective, saved))

struct passwd *
getpwnam(const char *name)
{
	static __typeof__(&getpwnam) real;
	if (!real)
		real = REAL(getpwnam);
	return fails(F_getpwnam) ? NULL : real(name);
}

/* What is watched can always be given up (epoll_ctl(2)): that is only counted. */
int
epoll_ctl(int fd, int order, int other, struct epoll_event *event)
{
	static __typeof__(&epoll_ctl) real;
	if (!real)
		real = REAL(epoll_ctl);
	if (order == EPOLL_CTL_DEL && control)
		__atomic_add_fetch(&control->calls[F_epoll_ctl], 1, __ATOMIC_RELAXED);
	else if (fails(F_epoll_ctl))
		return -1;
	return real(fd, order, other, event);
}

/* Only of what is kept and given up: libraries call it for themselves. */
int
prctl(int option, ...)
{
	static __typeof__(&prctl) real;
	if (!real)
		real = REAL(prctl);
	va_list arguments;
	va_start(arguments, option);
	unsigned long argument = va_arg(arguments, unsigned long);
	va_end(arguments);
	if ((option == PR_SET_KEEPCAPS || option == PR_SET_NO_NEW_PRIVS) && fails(F_prctl))
		return -1;
	return real(option, argument, 0, 0, 0);
}

/* None but capset(2) and clone(2) are made to fail. */
long
syscall(long number, ...)
{
	static __typeof__(&syscall) real;
	if (!real)
		real = REAL(syscall);
	long parts[6];
	va_list arguments;
	va_start(arguments, number);
	for (int i = 0; i < 6; i++)
		parts[i] = va_arg(arguments, long);
	va_end(arguments);
	if (number == SYS_capset && fails(F_capset))
		return -1;
	if (number == SYS_clone && fails(F_clone))
		return -1;
	return real(number, parts[0], parts[1], parts[2], parts[3], parts[4], parts[5]);
}

/* Only the log's: to an eventfd, by which loops wake each other, no write fails (eventfd(2)). */
ssize_t
write(int fd, const void *bytes, size_t len)
{
	static __typeof__(&write) real;
	if (!real)
		real = REAL(write);
	return fd == STDERR_FILENO && fails(F_write) ? -1 : real(fd, bytes, len);
}

int
pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*run)(void *), void *argument)
{
	static __typeof__(&pthread_create) real;
	if (!real)
		real = REAL(pthread_create);
	return fails(F_pthread_create) ? errno : real(thread, attr, run, argument);
}

void *
mmap(void *at, size_t len, int protection, int flags, int fd, off_t offset)
{
	static __typeof__(&mmap) real;
	if (!real)
		real = REAL(mmap);
	return fails(F_mmap) ? MAP_FAILED : real(at, len, protection, flags, fd, offset);
}

FILE *
fopen(const char *restrict path, const char *restrict mode)
{
	static __typeof__(&fopen) real;
	if (!real)
		real = REAL(fopen);
	return fails(F_fopen) ? NULL : real(path, mode);
}

int
open(const char *path, int flags, ...)
{
	static int (*real)(const char *, int, ...);
	if (!real)
		real = (int (*)(const char *, int, ...))dlsym(RTLD_NEXT, "open");
	va_list arguments;
	va_start(arguments, flags);
	mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(arguments, mode_t) : 0;
	va_end(arguments);
	return fails(F_open) ? -1 : real(path, flags, mode);
}

int
fcntl(int fd, int order, ...)
{
	static int (*real)(int, int, ...);
	if (!real)
		real = (int (*)(int, int, ...))dlsym(RTLD_NEXT, "fcntl");
	va_list arguments;
	va_start(arguments, order);
	void *argument = va_arg(arguments, void *);
	va_end(arguments);
	return fails(F_fcntl) ? -1 : real(fd, order, argument);
}

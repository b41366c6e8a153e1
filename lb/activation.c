/*
 * See activation.h.
 */
#include "lb/activation.h"

#include "lb/io/socket.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum {
	DECIMAL = 10,
	SOCKETS_MAX = 1 << 16,
};

struct given {
	int fd; /* -1 once taken */
	struct endpoint at;
	char path[sizeof(((struct sockaddr_un *)0)->sun_path) + 1]; /* empty: TCP */
};

struct activation {
	bool owns_path;
	size_t count;
	struct given sockets[];
};

/* A number of the environment; 0 for none, or for what is no number. */
static size_t
take_number(const char *name)
{
	const char *text = getenv(name);
	char *end = NULL;
	unsigned long number = text ? strtoul(text, &end, DECIMAL) : 0;
	return text && *text && !*end ? number : 0;
}

static size_t
take_count(void)
{
	size_t count = take_number("LISTEN_FDS");
	if (take_number("LISTEN_PID") != (size_t)getpid())
		count = 0;
	unsetenv("LISTEN_PID");
	unsetenv("LISTEN_FDS");
	unsetenv("LISTEN_FDNAMES");
	return count < SOCKETS_MAX ? count : 0;
}

static int
look_at(struct given *given, int fd)
{
	union {
		struct sockaddr any;
		struct sockaddr_un unix_path;
		struct sockaddr_storage storage;
	} sa = {0};
	socklen_t len = sizeof(sa);
	given->fd = fd;
	if (getsockname(fd, &sa.any, &len) < 0)
		return -1;
	if (sa.any.sa_family != AF_UNIX) {
		endpoint_from_sockaddr(&given->at, &sa.any);
		return socket_adopt(fd, &given->at);
	}
	memcpy(given->path, sa.unix_path.sun_path, sizeof(sa.unix_path.sun_path));
	return socket_adopt_any(fd);
}

static const char *
explain(int error)
{
	switch (error) {
	case EAFNOSUPPORT:
		return "it is neither TCP nor a Unix socket";
	case EINVAL:
		return "it does not listen; ListenStream, with Accept=no, makes one that does";
	case EADDRINUSE:
		return "it takes IPv4 too; set BindIPv6Only=ipv6-only, and another ListenStream "
		       "for IPv4";
	default:
		return strerror(error);
	}
}

struct activation *
activation_new(struct report *report)
{
	const char *names = getenv("LISTEN_FDNAMES");
	bool owns_path = names && strcmp(names, ACTIVATION_OWN) == 0;
	size_t count = take_count(), errors = report->errors;
	struct activation *activation =
		calloc(1, sizeof(*activation) + count * sizeof(struct given));
	if (!activation) {
		report_error(report, "LISTEN_FDS", 0, "%s", strerror(errno));
		return NULL;
	}
	activation->owns_path = owns_path;
	activation->count = count;
	for (size_t i = 0; i < count; i++) {
		int fd = ACTIVATION_FIRST_FD + (int)i;
		if (look_at(&activation->sockets[i], fd) < 0)
			report_error(report, "LISTEN_FDS", 0, "descriptor %d can't be used: %s", fd,
				explain(errno));
	}
	if (report->errors == errors)
		return activation;
	free(activation);
	return NULL;
}

static bool
is_at(const struct given *given, const struct endpoint *at)
{
	return given->fd >= 0 && !given->path[0] && endpoint_equal(&given->at, at);
}

size_t
activation_take(struct activation *activation, const struct endpoint *at, int **fds)
{
	size_t count = 0;
	*fds = NULL;
	for (size_t i = 0; activation && i < activation->count; i++)
		count += is_at(&activation->sockets[i], at);
	if (count > 0)
		*fds = calloc(count, sizeof(int));
	if (!*fds)
		return 0;
	count = 0;
	for (size_t i = 0; i < activation->count; i++) {
		struct given *given = &activation->sockets[i];
		if (!is_at(given, at))
			continue;
		(*fds)[count++] = given->fd;
		given->fd = -1;
	}
	return count;
}

int
activation_take_unix(struct activation *activation, const char *path, bool *owns_path)
{
	for (size_t i = 0; activation && i < activation->count; i++) {
		struct given *given = &activation->sockets[i];
		int fd = given->fd;
		if (fd < 0 || !given->path[0] || strcmp(given->path, path) != 0)
			continue;
		given->fd = -1;
		*owns_path = activation->owns_path;
		return fd;
	}
	return -1;
}

static const char *
name_of(const struct given *given, char text[ENDPOINT_TEXT_MAX])
{
	return given->path[0] ? given->path : endpoint_format(&given->at, text);
}

static void
close_all(struct activation *activation)
{
	for (size_t i = 0; i < activation->count; i++) {
		struct given *given = &activation->sockets[i];
		if (given->fd >= 0)
			close(given->fd);
		given->fd = -1;
	}
}

/* An address of several sockets is told once. */
static bool
is_told(const struct activation *activation, size_t index)
{
	const struct given *given = &activation->sockets[index];
	for (size_t i = 0; i < index; i++) {
		const struct given *before = &activation->sockets[i];
		if (before->fd >= 0 && endpoint_equal(&before->at, &given->at) &&
			strcmp(before->path, given->path) == 0)
			return true;
	}
	return false;
}

void
activation_settle(struct activation *activation, const char *file, struct report *report)
{
	char text[ENDPOINT_TEXT_MAX];
	for (size_t i = 0; i < activation->count; i++) {
		const struct given *given = &activation->sockets[i];
		if (given->fd < 0)
			continue;
		if (given->path[0] && activation->owns_path)
			unlink(given->path);
		if (!is_told(activation, i))
			report_warning(report, file, 0,
				"closed the socket at %s that smtplb was started with: nothing "
				"here listens there",
				name_of(given, text));
	}
	close_all(activation);
}

void
activation_free(struct activation *activation)
{
	if (activation)
		close_all(activation);
	free(activation);
}

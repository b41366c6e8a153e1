/*
 * Makes sockets. No state.
 */
#include "lb/io/socket.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	KEEPALIVE_IDLE_S = 60,
	KEEPALIVE_INTERVAL_S = 15,
	USER_TIMEOUT_MS = 300000,
};

static int
set_option(int fd, int level, int option, int value)
{
	return setsockopt(fd, level, option, &value, sizeof(value));
}

int
socket_new(const struct endpoint *to)
{
	int family = to->addr.family == ADDR_V6 ? AF_INET6 : AF_INET;
	int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -1;
	if (set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1) < 0 ||
		set_option(fd, SOL_SOCKET, SO_KEEPALIVE, 1) < 0 ||
		set_option(fd, IPPROTO_TCP, TCP_KEEPIDLE, KEEPALIVE_IDLE_S) < 0 ||
		set_option(fd, IPPROTO_TCP, TCP_KEEPINTVL, KEEPALIVE_INTERVAL_S) < 0 ||
		set_option(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, USER_TIMEOUT_MS) < 0) {
		int error = errno;
		close(fd);
		errno = error;
		return -1;
	}
	return fd;
}

/* One listening socket. The first of an address is bound without SO_REUSEPORT, which fails when
 * anybody listens there, and gets the option afterwards, so that its siblings may join it. */
static int
listen_one(const struct endpoint *at, bool first)
{
	int fd = socket_new(at);
	if (fd < 0)
		return -1;
	struct sockaddr_storage sa;
	socklen_t len = endpoint_to_sockaddr(at, &sa);
	if (set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1) < 0)
		goto fail;
	if (at->addr.family == ADDR_V6 && set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1) < 0)
		goto fail;
	if (!first && set_option(fd, SOL_SOCKET, SO_REUSEPORT, 1) < 0)
		goto fail;
	if (bind(fd, (struct sockaddr *)&sa, len) < 0)
		goto fail;
	if (first && set_option(fd, SOL_SOCKET, SO_REUSEPORT, 1) < 0)
		goto fail;
	if (listen(fd, SOCKET_BACKLOG) < 0)
		goto fail;
	return fd;
fail:;
	int error = errno;
	close(fd);
	errno = error;
	return -1;
}

int
socket_listen(const struct endpoint *at, int *fds, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		fds[i] = listen_one(at, i == 0);
		if (fds[i] < 0) {
			int error = errno;
			while (i-- > 0)
				close(fds[i]);
			errno = error;
			return -1;
		}
	}
	return 0;
}

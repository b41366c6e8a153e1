/*
 * Makes sockets. No state.
 */
#include "lb/io/socket.h"

#include <errno.h>
#include <fcntl.h>
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

static int
close_with_error(int fd)
{
	int error = errno;
	close(fd);
	errno = error;
	return -1;
}

int
socket_new(const struct endpoint *to)
{
	int family = to->addr.family == ADDR_V6 ? AF_INET6 : AF_INET;
	int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -1;
	if (set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1) < 0)
		return close_with_error(fd);
	return fd;
}

int
socket_detect_death(int fd)
{
	if (set_option(fd, IPPROTO_TCP, TCP_KEEPIDLE, KEEPALIVE_IDLE_S) < 0 ||
		set_option(fd, IPPROTO_TCP, TCP_KEEPINTVL, KEEPALIVE_INTERVAL_S) < 0 ||
		set_option(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, USER_TIMEOUT_MS) < 0)
		return -1;
	return set_option(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
}

int
socket_use_source(int fd, const struct addr *from)
{
	struct sockaddr_storage sa;
	if (from->family == ADDR_NONE)
		return 0;
	socklen_t len = endpoint_to_sockaddr(&(struct endpoint){.addr = *from}, &sa);
	if (set_option(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1) < 0)
		return -1;
	return bind(fd, (struct sockaddr *)&sa, len);
}

/* Whether a connection would have an address to come from. UDP asks the routes, and sends nothing.
 */
static bool
has_way_to(const struct endpoint *to)
{
	struct sockaddr_storage sa;
	socklen_t len = endpoint_to_sockaddr(to, &sa);
	int fd = socket(sa.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return true;
	bool has_none = connect(fd, (struct sockaddr *)&sa, len) < 0 && errno == EADDRNOTAVAIL;
	close(fd);
	return !has_none;
}

int
socket_connect_error(int error, const struct endpoint *to)
{
	if (error != EADDRNOTAVAIL)
		return error;
	return has_way_to(to) ? EAGAIN : ENETUNREACH;
}

int
socket_new_from(const struct endpoint *to, const struct addr *from)
{
	int fd = socket_new(to);
	if (fd >= 0 && socket_use_source(fd, from) < 0)
		return close_with_error(fd);
	return fd;
}

void
socket_delay_ack(int fd)
{
	set_option(fd, IPPROTO_TCP, TCP_QUICKACK, 0);
}

int
socket_begin_connect(int fd, const struct endpoint *to)
{
	struct sockaddr_storage sa;
	socklen_t len = endpoint_to_sockaddr(to, &sa);
	if (connect(fd, (struct sockaddr *)&sa, len) == 0 || errno == EINPROGRESS)
		return 0;
	errno = socket_connect_error(errno, to);
	return -1;
}

int
socket_connect(const struct endpoint *to, const struct addr *from)
{
	int fd = socket_new_from(to, from);
	if (fd >= 0 && socket_begin_connect(fd, to) < 0)
		return close_with_error(fd);
	return fd;
}

bool
socket_is_ours(const struct addr *addr)
{
	struct sockaddr_storage sa;
	socklen_t len = endpoint_to_sockaddr(&(struct endpoint){.addr = *addr}, &sa);
	int fd = socket(sa.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return true;
	bool is_foreign = bind(fd, (struct sockaddr *)&sa, len) < 0 && errno == EADDRNOTAVAIL;
	close(fd);
	return !is_foreign;
}

static int
set_free_bind(int fd, enum addr_family family)
{
	return family == ADDR_V6 ? set_option(fd, IPPROTO_IPV6, IPV6_FREEBIND, 1)
				 : set_option(fd, IPPROTO_IP, IP_FREEBIND, 1);
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
	if (socket_detect_death(fd) < 0 || set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1) < 0 ||
		set_free_bind(fd, at->addr.family) < 0)
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
fail:
	return close_with_error(fd);
}

static int
get_option(int fd, int level, int option)
{
	int value = 0;
	socklen_t len = sizeof(value);
	return getsockopt(fd, level, option, &value, &len) < 0 ? -1 : value;
}

int
socket_adopt_any(int fd)
{
	int type = get_option(fd, SOL_SOCKET, SO_TYPE);
	if (type < 0)
		return -1;
	errno = EAFNOSUPPORT;
	if (type != SOCK_STREAM)
		return -1;
	errno = EINVAL;
	if (get_option(fd, SOL_SOCKET, SO_ACCEPTCONN) != 1)
		return -1;
	return fcntl(fd, F_SETFL, O_NONBLOCK) < 0 || fcntl(fd, F_SETFD, FD_CLOEXEC) < 0 ? -1 : 0;
}

int
socket_adopt(int fd, const struct endpoint *at)
{
	errno = EAFNOSUPPORT;
	if (at->addr.family == ADDR_NONE || socket_adopt_any(fd) < 0)
		return -1;
	errno = EADDRINUSE;
	if (at->addr.family == ADDR_V6 && get_option(fd, IPPROTO_IPV6, IPV6_V6ONLY) != 1)
		return -1;
	if (set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1) < 0)
		return -1;
	return socket_detect_death(fd);
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

/*
 * The sockets under listeners and conns: made non-blocking, close-on-exec, and with TCP_NODELAY:
 * what is sent goes at once. An accepted socket has the options of its listening socket.
 */
#ifndef LB_IO_SOCKET_H
#define LB_IO_SOCKET_H

#include "acl/addr.h"

#include <stdbool.h>

enum {
	SOCKET_BACKLOG = 4096, /* of a listening socket; the kernel cuts it to net.core.somaxconn */
};

/* A socket for a connection to `to`. Returns a descriptor, or -1 with errno. */
int socket_new(const struct endpoint *to);

/* Has the kernel end a connection whose other end is dead, by keepalive (after 60 s of silence,
 * every 15 s) and TCP_USER_TIMEOUT (300 s). The latter also ends one whose other end takes nothing
 * for so long, so it must not be shorter than what RFC 5321 section 4.5.3.2 gives a data block (3
 * minutes); it overrides a number of keepalive probes (tcp(7)). Of listening sockets: all that they
 * accept. Returns 0, or -1 with errno. */
int socket_detect_death(int fd);

/* Lets a socket's connection come from this address; from ADDR_NONE: from whichever the routes say.
 * The port is chosen by connect(2), so that connections to different backends may share it
 * (IP_BIND_ADDRESS_NO_PORT). Returns 0, or -1 with errno: EADDRNOTAVAIL when the address is not
 * ours. */
int socket_use_source(int fd, const struct addr *from);

/* For who sends first: the handshake's last ACK goes with the first bytes, if these follow at once
 * (TCP_QUICKACK in tcp(7)). */
void socket_delay_ack(int fd);

/* What connect(2) means by an error, of which it has EADDRNOTAVAIL for two: EAGAIN when no local
 * port is free, ENETUNREACH when we have no address of the family. */
int socket_connect_error(int error, const struct endpoint *to);

/* Begins to connect from an address (ADDR_NONE as above). Returns a descriptor, or -1 with errno,
 * of which three are not connect(2)'s own: EADDRNOTAVAIL when `from` is not ours, EAGAIN when no
 * local port is free, ENETUNREACH also when we have no address of the family. */
int socket_connect(const struct endpoint *to, const struct addr *from);

/* The two halves of it: a socket that is to come from there, and its connecting. Returns 0, or -1
 * with errno. */
int socket_new_from(const struct endpoint *to, const struct addr *from);
int socket_begin_connect(int fd, const struct endpoint *to);

/* Listens on an address with `count` sockets, among which the kernel spreads the connections
 * (SO_REUSEPORT). An address on which somebody listens already is refused (EADDRINUSE), another
 * process of ours included: the first socket is bound without SO_REUSEPORT. One that no interface
 * has yet is not (IP_FREEBIND): connections come as soon as one has it. IPv6 sockets take IPv6
 * only. Fills fds and returns 0, or -1 with errno and nothing left open. */
int socket_listen(const struct endpoint *at, int *fds, unsigned count);

/* Gives a listening socket that somebody else has made, on any address, what a listening socket of
 * ours has. Returns 0, or -1 with errno: EINVAL where it does not listen, EAFNOSUPPORT where it is
 * no stream socket. */
int socket_adopt_any(int fd);

/* The same on a TCP address, with what its connections are to have; EADDRINUSE where an IPv6 socket
 * takes IPv4 too. */
int socket_adopt(int fd, const struct endpoint *at);

/* Whether some interface has the address now. */
bool socket_is_ours(const struct addr *addr);

#endif

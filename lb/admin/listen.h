/*
 * The admin interface's listening sockets: a Unix socket for who may give orders, TCP for who may
 * only look.
 */
#ifndef LB_ADMIN_LISTEN_H
#define LB_ADMIN_LISTEN_H

#include <stdbool.h>
#include <sys/types.h>

/* A Unix socket that has been bound, and what it takes to take away no other's. */
struct unix_socket {
	int fd;
	char *path;
	bool is_lent; /* the path is somebody else's, and stays */
	dev_t device;
	ino_t inode;
};

/* Listens at the path, mode 0660, as the user's and his group's where we are root (NULL or "" for
 * our own). What a daemon that is gone has left there is replaced; a socket at which somebody
 * listens is not (EADDRINUSE), nor anything that is no socket (EEXIST). Makes the folder, one level
 * only, where we are root and it is missing. Returns 0, or -1 with errno. */
int unix_socket_open(struct unix_socket *unix_socket, const char *path, const char *user);

/* The same with a socket that listens at the path already, which is lent until it is known to be
 * ours. Returns 0, or -1 with errno, and the socket is closed. */
int unix_socket_take(struct unix_socket *unix_socket, const char *path, int fd);

/* Forgets the path, which somebody else looks after now. Does not close the descriptor. */
void unix_socket_leave(struct unix_socket *unix_socket);

/* Takes away the path, if it is still ours, and forgets it. Does not close the descriptor. */
void unix_socket_remove(struct unix_socket *unix_socket);

#endif

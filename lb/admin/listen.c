/*
 * See listen.h.
 */
#include "lb/admin/listen.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum {
	BACKLOG = 64,
	SOCKET_MODE = 0660,
	FOLDER_MODE = 0755,
};

static void
give_to(const char *path, const char *user)
{
	const struct passwd *entry = user && *user && geteuid() == 0 ? getpwnam(user) : NULL;
	if (entry && chown(path, entry->pw_uid, entry->pw_gid) < 0)
		return; /* who is not its owner can't open it: the worst is a refusal */
}

static void
make_folder(const char *path, const char *user)
{
	char *copy = strdup(path);
	if (!copy || geteuid() != 0) {
		free(copy);
		return;
	}
	const char *folder = dirname(copy);
	if (mkdir(folder, FOLDER_MODE) == 0)
		give_to(folder, user);
	free(copy);
}

/* Whether the path is a socket at which nobody listens. */
static bool
is_left_over(const struct sockaddr_un *address)
{
	struct stat stat;
	if (lstat(address->sun_path, &stat) < 0)
		return false;
	if (!S_ISSOCK(stat.st_mode)) {
		errno = EEXIST;
		return false;
	}
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return false;
	bool refused = connect(fd, (const struct sockaddr *)address, sizeof(*address)) < 0 &&
		       errno == ECONNREFUSED;
	close(fd);
	errno = EADDRINUSE;
	return refused;
}

static int
bind_there(int fd, const struct sockaddr_un *address)
{
	const struct sockaddr *any = (const struct sockaddr *)address;
	if (bind(fd, any, sizeof(*address)) == 0)
		return 0;
	if (errno != EADDRINUSE || !is_left_over(address) || unlink(address->sun_path) < 0)
		return -1;
	return bind(fd, any, sizeof(*address));
}

static int
remember(struct unix_socket *unix_socket, const char *path)
{
	struct stat stat;
	if (lstat(path, &stat) < 0)
		return -1;
	unix_socket->device = stat.st_dev;
	unix_socket->inode = stat.st_ino;
	return 0;
}

/* Between bind and chmod the umask may keep out more, never less. */
static int
open_there(struct unix_socket *unix_socket, const struct sockaddr_un *address, const char *user)
{
	int fd = unix_socket->fd;
	if (fchmod(fd, SOCKET_MODE) < 0 || bind_there(fd, address) < 0)
		return -1;
	if (chmod(address->sun_path, SOCKET_MODE) < 0 ||
		remember(unix_socket, address->sun_path) < 0 || listen(fd, BACKLOG) < 0) {
		int error = errno;
		unlink(address->sun_path);
		errno = error;
		return -1;
	}
	give_to(address->sun_path, user);
	return 0;
}

int
unix_socket_open(struct unix_socket *unix_socket, const char *path, const char *user)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	if (strlen(path) >= sizeof(address.sun_path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	memcpy(address.sun_path, path, strlen(path));
	make_folder(path, user);
	unix_socket->is_lent = false;
	unix_socket->path = strdup(path);
	unix_socket->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (unix_socket->path && unix_socket->fd >= 0 &&
		open_there(unix_socket, &address, user) == 0)
		return 0;
	int error = errno;
	if (unix_socket->fd >= 0)
		close(unix_socket->fd);
	free(unix_socket->path);
	*unix_socket = (struct unix_socket){.fd = -1};
	errno = error;
	return -1;
}

int
unix_socket_take(struct unix_socket *unix_socket, const char *path, int fd)
{
	*unix_socket = (struct unix_socket){.fd = fd, .path = strdup(path), .is_lent = true};
	if (unix_socket->path && remember(unix_socket, path) == 0)
		return 0;
	int error = errno;
	close(fd);
	unix_socket_leave(unix_socket);
	errno = error;
	return -1;
}

void
unix_socket_leave(struct unix_socket *unix_socket)
{
	free(unix_socket->path);
	unix_socket->path = NULL;
}

void
unix_socket_remove(struct unix_socket *unix_socket)
{
	struct stat stat;
	if (unix_socket->path && !unix_socket->is_lent && lstat(unix_socket->path, &stat) == 0 &&
		stat.st_dev == unix_socket->device && stat.st_ino == unix_socket->inode)
		unlink(unix_socket->path);
	unix_socket_leave(unix_socket);
}

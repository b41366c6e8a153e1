/*
 * See client.h. HTTP/1.1 with Connection: close, so that the answer ends with the connection; its
 * Content-Length tells whether it came whole.
 */
#include "lb/admin/client.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

enum {
	STATUS_LEAST = 100,
	STATUS_MOST = 599,
	ANSWER_MAX = 256 << 20, /* bytes: of a daemon that has gone mad */
};

static int
fail(const char *path_of_socket, const char *why)
{
	fprintf(stderr, "smtplb: can't reach the daemon at %s: %s\n", path_of_socket, why);
	return -1;
}

static const char *
advice(int error)
{
	switch (error) {
	case ENOENT:
	case ECONNREFUSED:
		return "it does not run, or listens elsewhere (--socket PATH)";
	case EACCES:
		return "permission denied; its user, his group and root may";
	case EAGAIN:
		return "it does not answer";
	default:
		return strerror(error);
	}
}

static int
dial(const char *path, unsigned wait_s)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	struct timeval wait = {.tv_sec = wait_s};
	if (strlen(path) >= sizeof(address.sun_path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	memcpy(address.sun_path, path, strlen(path));
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -1;
	if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait)) == 0 &&
		setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof(wait)) == 0 &&
		connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0)
		return fd;
	int error = errno;
	close(fd);
	errno = error;
	return -1;
}

/* All until the connection's end, for free(3) and with a NUL behind; NULL with errno. */
static char *
read_all(int fd, size_t *len)
{
	size_t capacity = 0;
	char *text = NULL;
	*len = 0;
	for (;;) {
		if (capacity - *len < 2) {
			capacity = capacity ? capacity * 2 : 16384;
			char *more = capacity <= ANSWER_MAX ? realloc(text, capacity) : NULL;
			if (!more) {
				free(text);
				errno = ENOMEM;
				return NULL;
			}
			text = more;
		}
		ssize_t got = recv(fd, text + *len, capacity - *len - 1, 0);
		if (got < 0) {
			free(text);
			return NULL;
		}
		if (got == 0)
			break;
		*len += (size_t)got;
	}
	text[*len] = '\0';
	return text;
}

/* Whether the body is as long as its head says. */
static bool
is_whole(const char *head, const char *body, size_t body_len)
{
	static const char name[] = "\r\nContent-Length:";
	for (const char *line = strstr(head, "\r\n"); line && line < body;
		line = strstr(line + 2, "\r\n")) {
		if (strncasecmp(line, name, strlen(name)) == 0)
			return strtoull(line + strlen(name), NULL, 10) == body_len;
	}
	return false;
}

int
client_parse(struct client_reply *reply, const char *text, size_t len)
{
	const char *body = strstr(text, "\r\n\r\n");
	if (sscanf(text, "HTTP/1.%*1u %3u", &reply->status) != 1 || !body)
		return -1;
	if (reply->status < STATUS_LEAST || reply->status > STATUS_MOST)
		return -1;
	body += strlen("\r\n\r\n");
	size_t body_len = len - (size_t)(body - text);
	if (!is_whole(text, body, body_len))
		return -1;
	reply->json = json_loadb(body, body_len, 0, NULL);
	return reply->json ? 0 : -1;
}

static char *
exchange(int fd, const char *method, const char *path, size_t *len)
{
	char request[2048];
	int length = snprintf(request, sizeof(request),
		"%s %s HTTP/1.1\r\nHost: smtplb\r\nConnection: close\r\n"
		"Content-Length: 0\r\n\r\n",
		method, path);
	if (length < 0 || (size_t)length >= sizeof(request)) {
		errno = ENAMETOOLONG;
		return NULL;
	}
	if (send(fd, request, (size_t)length, MSG_NOSIGNAL) != length)
		return NULL;
	return read_all(fd, len);
}

int
client_ask(struct client_reply *reply, const char *path_of_socket, const char *method,
	const char *path, unsigned wait_s)
{
	size_t len;
	int fd = dial(path_of_socket, wait_s);
	if (fd < 0)
		return fail(path_of_socket, advice(errno));
	char *text = exchange(fd, method, path, &len);
	int error = errno;
	close(fd);
	if (!text)
		return fail(path_of_socket, advice(error));
	int result = client_parse(reply, text, len);
	free(text);
	return result < 0 ? fail(path_of_socket, "what it says is no answer of smtplb's") : 0;
}

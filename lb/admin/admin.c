/*
 * See admin.h. Here: where it listens; what it answers is in routes.c.
 */
#include "lb/admin/admin.h"

#include "acl/report.h"
#include "lb/activation.h"
#include "lb/admin/http.h"
#include "lb/admin/listen.h"
#include "lb/admin/routes.h"
#include "lb/io/socket.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Where it listens. */
struct place {
	struct http *http; /* NULL: nowhere */
	struct unix_socket unix_socket;
	bool owns_path; /* of the Unix socket, from the commit on */
	struct endpoint endpoint;
};

struct admin {
	struct ev_loop *loop;
	struct routes *routes;
	struct place unix_now, tcp_now;
	/* Prepared: */
	struct place unix_next, tcp_next;
	bool keeps_unix, keeps_tcp;
};

struct admin *
admin_new(struct ev_loop *loop, const struct serving *serving, const struct admin_orders *orders,
	void *context)
{
	struct admin *admin = calloc(1, sizeof(*admin));
	if (!admin)
		return NULL;
	admin->loop = loop;
	admin->routes = routes_new(loop, serving, orders, context);
	if (admin->routes)
		return admin;
	free(admin);
	return NULL;
}

void
admin_free(struct admin *admin)
{
	if (!admin)
		return;
	http_free(admin->unix_now.http);
	http_free(admin->tcp_now.http);
	unix_socket_remove(&admin->unix_now.unix_socket);
	routes_free(admin->routes);
	free(admin);
}

/* One whose path is gone is of no use any more. */
static int
take_or_open(struct place *place, struct activation *given, const struct snapshot *snapshot)
{
	const char *path = snapshot->admin.socket;
	int fd = activation_take_unix(given, path, &place->owns_path);
	if (fd >= 0 && unix_socket_take(&place->unix_socket, path, fd) == 0)
		return 0;
	place->owns_path = true;
	return unix_socket_open(&place->unix_socket, path, snapshot->user);
}

static int
open_unix(struct admin *admin, struct activation *given, const struct snapshot *snapshot)
{
	struct place *place = &admin->unix_next;
	if (take_or_open(place, given, snapshot) < 0)
		return -1;
	place->http =
		http_new(admin->loop, place->unix_socket.fd, routes_handle_all, admin->routes);
	if (place->http)
		return 0;
	close(place->unix_socket.fd);
	unix_socket_remove(&place->unix_socket);
	errno = ENOMEM;
	return -1;
}

/* One is enough: where more are given the rest would never be served. */
static int
take_or_listen(const struct endpoint *at, struct activation *given, int *fd)
{
	int *fds;
	size_t count = activation_take(given, at, &fds);
	if (count == 0)
		return socket_listen(at, fd, 1);
	*fd = fds[0];
	for (size_t i = 1; i < count; i++)
		close(fds[i]);
	free(fds);
	return 0;
}

static int
open_tcp(struct admin *admin, struct activation *given, const struct snapshot *snapshot)
{
	struct place *place = &admin->tcp_next;
	int fd;
	place->endpoint = snapshot->admin.listen;
	if (take_or_listen(&place->endpoint, given, &fd) < 0)
		return -1;
	place->http = http_new(admin->loop, fd, routes_handle_reads, admin->routes);
	if (place->http)
		return 0;
	close(fd);
	errno = ENOMEM;
	return -1;
}

static bool
same_endpoint(const struct endpoint *a, const struct endpoint *b)
{
	return a->port == b->port && addr_equal(&a->addr, &b->addr);
}

static const char *
advice(int error)
{
	switch (error) {
	case EADDRINUSE:
		return "somebody listens there already; is another smtplb running?";
	case EEXIST:
		return "there is something that is no socket";
	case ENOENT:
		return "there is no such folder";
	default:
		return strerror(error);
	}
}

/* Returns -1 when that is an error. */
static int
report_failure(
	const struct snapshot *snapshot, const char *where, unsigned line, struct report *report)
{
	const char *why = advice(errno);
	if (line) {
		report_error(report, snapshot->file, line, "can't listen on %s: %s", where, why);
		return -1;
	}
	report_warning(report, snapshot->file, 0,
		"no admin interface on %s, the default: %s; set it in admin { }, \"\" for none",
		where, why);
	return 0;
}

int
admin_prepare(struct admin *admin, struct activation *given, const struct snapshot *snapshot,
	struct report *report)
{
	const struct admin_conf *conf = &snapshot->admin;
	char text[ENDPOINT_TEXT_MAX];
	int result = 0;
	const char *now = admin->unix_now.unix_socket.path;
	admin->unix_next = admin->tcp_next = (struct place){.http = NULL};
	admin->keeps_unix = admin->unix_now.http && strcmp(now, conf->socket) == 0;
	if (*conf->socket && !admin->keeps_unix && open_unix(admin, given, snapshot) < 0)
		result = report_failure(snapshot, conf->socket, conf->socket_line, report);
	admin->keeps_tcp = admin->tcp_now.http && conf->listens &&
			   same_endpoint(&admin->tcp_now.endpoint, &conf->listen);
	if (conf->listens && !admin->keeps_tcp && open_tcp(admin, given, snapshot) < 0 &&
		report_failure(snapshot, endpoint_format(&conf->listen, text), conf->listen_line,
			report) < 0)
		result = -1;
	if (result < 0)
		admin_drop(admin);
	return result;
}

void
admin_drop(struct admin *admin)
{
	http_free(admin->unix_next.http);
	http_free(admin->tcp_next.http);
	unix_socket_remove(&admin->unix_next.unix_socket);
	admin->unix_next = admin->tcp_next = (struct place){.http = NULL};
}

static void
move(struct place *now, struct place *next)
{
	if (now->http)
		http_retire(now->http);
	unix_socket_remove(&now->unix_socket);
	*now = *next;
	now->unix_socket.is_lent = !now->owns_path;
	*next = (struct place){.http = NULL};
	if (now->http)
		http_start(now->http);
}

void
admin_commit(struct admin *admin)
{
	if (!admin->keeps_unix)
		move(&admin->unix_now, &admin->unix_next);
	if (!admin->keeps_tcp)
		move(&admin->tcp_now, &admin->tcp_next);
}

bool
admin_owns_path(const struct admin *admin)
{
	return admin->unix_now.http && admin->unix_now.owns_path;
}

size_t
admin_sockets(const struct admin *admin, int fds[ADMIN_SOCKETS_MAX])
{
	size_t count = 0;
	if (admin->unix_now.http)
		fds[count++] = http_socket(admin->unix_now.http);
	if (admin->tcp_now.http)
		fds[count++] = http_socket(admin->tcp_now.http);
	return count;
}

static void
leave(struct place *place)
{
	if (place->http)
		http_retire(place->http);
	unix_socket_leave(&place->unix_socket);
	place->http = NULL;
}

void
admin_leave(struct admin *admin)
{
	leave(&admin->unix_now);
	leave(&admin->tcp_now);
}

void
admin_load_ended(struct admin *admin, bool own, const struct report *report)
{
	routes_load_ended(admin->routes, own, report);
}

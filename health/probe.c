/*
 * One probe: see probe.h. Runs in its loop's thread. The socket, the request and the snapshot's
 * reference belong to the probe from probe_start to its end.
 */
#include "health/probe.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	DETAIL_MAX = 200,
	PIECE_MAX = 4096,
};

const char *
probe_cause_name(enum probe_cause cause)
{
	switch (cause) {
	case PROBE_OK:
		return "ok";
	case PROBE_STATUS:
		return "status";
	case PROBE_REFUSED:
		return "refused";
	case PROBE_RESET:
		return "reset";
	case PROBE_CLOSED:
		return "closed";
	case PROBE_TIMEOUT:
		return "timeout";
	case PROBE_MALFORMED:
		return "malformed";
	case PROBE_RESOURCES:
		return "resources";
	}
	return "?";
}

void
probe_stop(struct probe *probe)
{
	ev_io_stop(probe->loop, &probe->io);
	ev_timer_stop(probe->loop, &probe->deadline);
	if (probe->io.fd >= 0)
		close(probe->io.fd);
	ev_io_set(&probe->io, -1, 0);
	free(probe->request);
	probe->request = NULL;
	snapshot_unref(probe->snapshot);
	probe->snapshot = NULL;
	probe->check = NULL;
	probe->phase = PHASE_IDLE;
}

/* The only place where a verdict is given. */
static void __attribute__((format(printf, 3, 4)))
finish(struct probe *probe, enum probe_cause cause, const char *format, ...)
{
	char detail[DETAIL_MAX];
	va_list args;

	va_start(args, format);
	vsnprintf(detail, sizeof(detail), format, args);
	va_end(args);
	if (cause == PROBE_OK || cause == PROBE_STATUS)
		probe->phase = PHASE_LINGER;
	else
		probe_stop(probe);
	probe->done(probe->context, &(struct probe_result){cause, detail});
}

static void
finish_errno(struct probe *probe, int error)
{
	enum probe_cause cause;

	switch (error) {
	case EMFILE:
	case ENFILE:
	case ENOBUFS:
	case ENOMEM:
	case EADDRNOTAVAIL: /* no free port */
	case EAGAIN:
		cause = PROBE_RESOURCES;
		break;
	case ECONNRESET:
	case EPIPE:
		cause = PROBE_RESET;
		break;
	case ETIMEDOUT:
		cause = PROBE_TIMEOUT;
		break;
	default: /* refused, or unreachable in one of its many ways */
		cause = PROBE_REFUSED;
		break;
	}
	finish(probe, cause, "%s: %s", probe_cause_name(cause), strerror(error));
}

static void
await(struct probe *probe, enum probe_phase phase, int events)
{
	probe->phase = phase;
	ev_io_stop(probe->loop, &probe->io);
	ev_io_set(&probe->io, probe->io.fd, events);
	ev_io_start(probe->loop, &probe->io);
}

static void
send_request(struct probe *probe)
{
	size_t left = strlen(probe->request + probe->sent);
	ssize_t sent = send(probe->io.fd, probe->request + probe->sent, left, MSG_NOSIGNAL);

	if (sent < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (sent < 0) {
		finish_errno(probe, errno);
		return;
	}
	probe->sent += (size_t)sent;
	if ((size_t)sent == left)
		await(probe, PHASE_REPLY, EV_READ);
}

static void
finish_connect(struct probe *probe)
{
	int error = 0;
	socklen_t len = sizeof(error);

	getsockopt(probe->io.fd, SOL_SOCKET, SO_ERROR, &error, &len);
	if (error != 0) {
		finish_errno(probe, error);
		return;
	}
	probe->phase = PHASE_SEND;
	send_request(probe);
}

static bool
status_is_wanted(const struct check_conf *check, unsigned status)
{
	for (size_t i = 0; i < check->status_count; i++) {
		if (status >= check->status[i].first && status <= check->status[i].last)
			return true;
	}
	return false;
}

static void
take_reply(struct probe *probe, const uint8_t *piece, size_t len)
{
	struct http_reply *reply = &probe->reply;
	ssize_t taken = http_reply_feed(reply, piece, len);

	if (taken == 0)
		return;
	if (taken < 0)
		finish(probe, PROBE_MALFORMED, "malformed: %s (%s)", reply->why, reply->line);
	else if (status_is_wanted(probe->check, reply->status))
		finish(probe, PROBE_OK, "%u", reply->status);
	else
		finish(probe, PROBE_STATUS, "status %u", reply->status);
}

static void
receive(struct probe *probe)
{
	uint8_t piece[PIECE_MAX];
	ssize_t len = recv(probe->io.fd, piece, sizeof(piece), 0);

	if (len < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (probe->phase == PHASE_LINGER) {
		probe->lingered += len > 0 ? (size_t)len : 0;
		if (len <= 0 || probe->lingered > PROBE_LINGER_MAX)
			probe_stop(probe);
	} else if (len < 0) {
		finish_errno(probe, errno);
	} else if (len == 0) {
		finish(probe, PROBE_CLOSED, "closed: %s",
			probe->reply.total > 0 ? "in the middle of the header" : "without a reply");
	} else {
		take_reply(probe, piece, (size_t)len);
	}
}

static void
on_io(struct ev_loop *loop, struct ev_io *io, int events)
{
	struct probe *probe = io->data;

	(void)loop;
	if (events & EV_ERROR) { /* the loop has no memory to watch it, and has stopped */
		if (probe->phase == PHASE_LINGER)
			probe_stop(probe);
		else
			finish_errno(probe, ENOMEM);
		return;
	}
	switch (probe->phase) {
	case PHASE_CONNECT:
		finish_connect(probe);
		break;
	case PHASE_SEND:
		send_request(probe);
		break;
	case PHASE_REPLY:
	case PHASE_LINGER:
		receive(probe);
		break;
	case PHASE_IDLE:
		break;
	}
}

static void
on_deadline(struct ev_loop *loop, struct ev_timer *timer, int events)
{
	struct probe *probe = timer->data;
	const char *what = "no reply";
	uint64_t timeout_ms;
	bool whole_seconds;

	(void)loop;
	(void)events;
	if (probe->phase == PHASE_LINGER) {
		probe_stop(probe);
		return;
	}
	timeout_ms = probe->check->timeout_ms;
	whole_seconds = timeout_ms % 1000 == 0;
	if (probe->phase == PHASE_CONNECT)
		what = "no connection";
	else if (probe->reply.total > 0)
		what = "no whole reply";
	finish(probe, PROBE_TIMEOUT, "timeout: %s within %" PRIu64 "%s", what,
		whole_seconds ? timeout_ms / 1000 : timeout_ms, whole_seconds ? "s" : "ms");
}

void
probe_init(struct probe *probe, struct ev_loop *loop,
	void (*done)(void *context, const struct probe_result *result), void *context)
{
	*probe = (struct probe){.loop = loop, .done = done, .context = context};
	ev_init(&probe->io, on_io);
	ev_io_set(&probe->io, -1, 0);
	probe->io.data = probe;
	/* When a held-up loop finds both the reply and the deadline due, the reply counts. */
	ev_set_priority(&probe->io, 1);
	ev_init(&probe->deadline, on_deadline);
	probe->deadline.data = probe;
}

void
probe_start(struct probe *probe, struct snapshot *snapshot, const struct check_conf *check,
	const struct addr *address)
{
	struct sockaddr_storage storage;
	struct endpoint endpoint = {*address, check->port};
	socklen_t len = endpoint_to_sockaddr(&endpoint, &storage);

	assert(!probe_is_running(probe));
	probe_stop(probe);
	probe->snapshot = snapshot_ref(snapshot);
	probe->check = check;
	probe->sent = 0;
	probe->lingered = 0;
	http_reply_init(&probe->reply);
	probe->request = http_request(check, address);
	if (probe->request == NULL) {
		finish_errno(probe, ENOMEM);
		return;
	}
	ev_io_set(&probe->io,
		socket(storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), 0);
	if (probe->io.fd < 0 || (connect(probe->io.fd, (struct sockaddr *)&storage, len) != 0 &&
					errno != EINPROGRESS)) {
		finish_errno(probe, errno);
		return;
	}
	ev_timer_set(&probe->deadline, (double)check->timeout_ms / 1000, 0);
	ev_timer_start(probe->loop, &probe->deadline);
	await(probe, PHASE_CONNECT, EV_WRITE);
}

bool
probe_is_running(const struct probe *probe)
{
	return probe->phase != PHASE_IDLE && probe->phase != PHASE_LINGER;
}

/*
 * One probe: see probe.h. Runs in its loop's thread. The socket, the check and the snapshot's
 * reference belong to the probe from probe_start to its end.
 */
#include "health/probe.h"

#include "lb/io/socket.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	PIECE_MAX = 4096,
};

void
probe_stop(struct probe *probe)
{
	ev_io_stop(probe->loop, &probe->io);
	ev_timer_stop(probe->loop, &probe->deadline);
	if (probe->io.fd >= 0)
		close(probe->io.fd);
	ev_io_set(&probe->io, -1, 0);
	check_fini(&probe->check);
	snapshot_unref(probe->snapshot);
	probe->snapshot = NULL;
	probe->pool = NULL;
	probe->backend = NULL;
	probe->phase = PHASE_IDLE;
}

/* A backend that answered is told goodbye and may finish; any other probe is over. */
static void
take_leave(struct probe *probe)
{
	const char *parting = probe->check.kind->parting;
	if (!probe->check.kind->feed) {
		probe_stop(probe);
		return;
	}
	probe->phase = PHASE_LINGER;
	if (parting[0] != '\0')
		send(probe->io.fd, parting, strlen(parting), MSG_NOSIGNAL);
}

/* The only place where a verdict is told. */
static void
finish(struct probe *probe)
{
	enum probe_cause cause = probe->check.cause;
	char detail[CHECK_DETAIL_MAX];
	memcpy(detail, probe->check.detail, sizeof(detail));
	if (cause == PROBE_OK || cause == PROBE_STATUS || cause == PROBE_REPLY)
		take_leave(probe);
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
	case EADDRNOTAVAIL: /* no free port, or source_address is not ours */
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
	check_decide(&probe->check, cause, "%s: %s", probe_cause_name(cause), strerror(error));
	finish(probe);
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
finish_opening(struct probe *probe)
{
	if (probe->check.kind->feed) {
		await(probe, PHASE_REPLY, EV_READ);
		return;
	}
	check_decide(&probe->check, PROBE_OK, "connected");
	finish(probe);
}

static void
send_opening(struct probe *probe)
{
	size_t left = probe->check.opening_len - probe->sent;
	ssize_t sent = 0;
	if (left > 0)
		sent = send(probe->io.fd, probe->check.opening + probe->sent, left, MSG_NOSIGNAL);
	if (sent < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (sent < 0) {
		finish_errno(probe, errno);
		return;
	}
	probe->sent += (size_t)sent;
	if ((size_t)sent == left)
		finish_opening(probe);
}

static int
begin_check(struct probe *probe)
{
	struct check_scene scene = {
		.remote = probe->remote,
		.proxy = probe->pool->proxy,
		.mail_port = check_is_at_mail_port(probe->snapshot, probe->pool, probe->backend),
	};
	struct sockaddr_storage storage;
	socklen_t len = sizeof(storage);
	if (getsockname(probe->io.fd, (struct sockaddr *)&storage, &len) < 0)
		return -1;
	endpoint_from_sockaddr(&scene.own, (struct sockaddr *)&storage);
	return probe->check.kind->begin(&probe->check, &scene);
}

static void
finish_connect(struct probe *probe)
{
	int error = 0;
	socklen_t len = sizeof(error);
	getsockopt(probe->io.fd, SOL_SOCKET, SO_ERROR, &error, &len);
	if (error == 0 && begin_check(probe) < 0)
		error = errno;
	if (error != 0) {
		finish_errno(probe, error);
		return;
	}
	probe->phase = PHASE_SEND;
	send_opening(probe);
}

static void
finish_closed(struct probe *probe)
{
	const struct check_kind *kind = probe->check.kind;
	if (probe->received > 0)
		check_decide(
			&probe->check, PROBE_CLOSED, "closed: in the middle of the %s", kind->cut);
	else
		check_decide(&probe->check, PROBE_CLOSED, "closed: without a %s", kind->awaited);
	finish(probe);
}

static void
linger(struct probe *probe, ssize_t len)
{
	probe->lingered += len > 0 ? (size_t)len : 0;
	if (len <= 0 || probe->lingered > PROBE_LINGER_MAX)
		probe_stop(probe);
}

static void
receive(struct probe *probe)
{
	uint8_t piece[PIECE_MAX];
	ssize_t len = recv(probe->io.fd, piece, sizeof(piece), 0);
	if (len < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (probe->phase == PHASE_LINGER) {
		linger(probe, len);
	} else if (len < 0) {
		finish_errno(probe, errno);
	} else if (len == 0) {
		finish_closed(probe);
	} else {
		probe->received += (size_t)len;
		if (probe->check.kind->feed(&probe->check, piece, (size_t)len))
			finish(probe);
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
	if (probe->phase == PHASE_CONNECT)
		finish_connect(probe);
	else if (probe->phase == PHASE_SEND)
		send_opening(probe);
	else
		receive(probe);
}

static void
on_deadline(struct ev_loop *loop, struct ev_timer *timer, int events)
{
	struct probe *probe = timer->data;
	(void)loop;
	(void)events;
	if (probe->phase == PHASE_LINGER) {
		probe_stop(probe);
		return;
	}
	uint64_t timeout_ms = probe->check.conf->timeout_ms;
	bool whole_seconds = timeout_ms % 1000 == 0;
	bool connected = probe->phase != PHASE_CONNECT;
	check_decide(&probe->check, PROBE_TIMEOUT, "timeout: %s%s within %" PRIu64 "%s",
		probe->received > 0 ? "no whole " : "no ",
		connected ? probe->check.kind->awaited : "connection",
		whole_seconds ? timeout_ms / 1000 : timeout_ms, whole_seconds ? "s" : "ms");
	finish(probe);
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

/* Returns 0, or -1 with errno. */
static int
start_connect(struct probe *probe)
{
	struct sockaddr_storage storage;
	socklen_t len = endpoint_to_sockaddr(&probe->remote, &storage);
	int fd = socket(storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	ev_io_set(&probe->io, fd, 0);
	if (fd < 0 || socket_use_source(fd, &probe->pool->source_address) < 0)
		return -1;
	int result = connect(fd, (struct sockaddr *)&storage, len);
	return result < 0 && errno != EINPROGRESS ? -1 : 0;
}

void
probe_start(struct probe *probe, struct snapshot *snapshot, const struct pool_conf *pool,
	const struct backend_conf *backend)
{
	assert(!probe_is_running(probe));
	probe_stop(probe);
	probe->snapshot = snapshot_ref(snapshot);
	probe->pool = pool;
	probe->backend = backend;
	probe->remote = (struct endpoint){backend->address, check_port(pool, backend)};
	probe->sent = 0;
	probe->received = 0;
	probe->lingered = 0;
	check_init(&probe->check, &pool->check);
	if (start_connect(probe) < 0) {
		finish_errno(probe, errno);
		return;
	}
	ev_timer_set(&probe->deadline, (double)pool->check.timeout_ms / 1000, 0);
	ev_timer_start(probe->loop, &probe->deadline);
	await(probe, PHASE_CONNECT, EV_WRITE);
}

bool
probe_is_running(const struct probe *probe)
{
	return probe->phase != PHASE_IDLE && probe->phase != PHASE_LINGER;
}

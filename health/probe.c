/*
 * One probe: see probe.h. Runs in its loop's thread. The socket, the check and the snapshot's
 * reference belong to the probe from probe_start to its end.
 */
#include "health/probe.h"

#include "health/channel.h"
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
	SSL_free(probe->ssl);
	probe->ssl = NULL;
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
		channel_send(probe->io.fd, probe->ssl, parting, strlen(parting));
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
	case EPROTO:
		cause = PROBE_TLS;
		break;
	default: /* refused, or unreachable in one of its many ways */
		cause = PROBE_REFUSED;
		break;
	}
	const char *why = error == EPROTO ? channel_why(probe->ssl) : strerror(error);
	check_decide(&probe->check, cause, "%s: %s", probe_cause_name(cause), why);
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

/* All has been said that is to be said for now. */
static void
await_reply(struct probe *probe)
{
	if (probe->check.kind->feed) {
		await(probe, PHASE_REPLY, EV_READ);
		return;
	}
	check_decide(&probe->check, PROBE_OK, "connected");
	finish(probe);
}

/* Sends what is left of it. Returns whether all of it has gone. */
static bool
send_all(struct probe *probe, const char *bytes, size_t len)
{
	size_t left = len - probe->sent;
	ssize_t sent = 0;
	if (left > 0)
		sent = channel_send(probe->io.fd, probe->ssl, bytes + probe->sent, left);
	if (sent < 0 && (errno == EAGAIN || errno == EINTR))
		return false;
	if (sent < 0) {
		finish_errno(probe, errno);
		return false;
	}
	probe->sent += (size_t)sent;
	return (size_t)sent == left;
}

static void
send_words(struct probe *probe)
{
	if (send_all(probe, probe->check.words, probe->check.words_len))
		await_reply(probe);
}

static void
say_words(struct probe *probe)
{
	probe->sent = 0;
	await(probe, PHASE_SEND, EV_WRITE);
	send_words(probe);
}

/* TLS that came first is followed by words; any other was what was asked about. */
static void
finish_secure(struct probe *probe)
{
	if (check_is_secure(probe->pool)) {
		say_words(probe);
		return;
	}
	await(probe, PHASE_REPLY, EV_READ); /* what comes next is its leave */
	check_decide(&probe->check, PROBE_OK, "%s", SSL_get_version(probe->ssl));
	finish(probe);
}

static void
go_on_securing(struct probe *probe)
{
	int awaited = channel_shake_hands(probe->ssl);
	if (awaited < 0)
		finish_errno(probe, errno);
	else if (awaited > 0)
		await(probe, PHASE_SECURE, awaited);
	else
		finish_secure(probe);
}

static void
secure(struct probe *probe)
{
	probe->ssl = check_open_tls(probe->pool, &probe->remote);
	if (!probe->ssl || !SSL_set_fd(probe->ssl, probe->io.fd)) {
		finish_errno(probe, ENOMEM);
		return;
	}
	go_on_securing(probe);
}

static void
send_header(struct probe *probe)
{
	if (!send_all(probe, probe->check.header, probe->check.header_len))
		return;
	probe->headed = true;
	if (check_is_secure(probe->pool))
		secure(probe);
	else
		say_words(probe);
}

static int
begin_check(struct probe *probe)
{
	struct check_scene scene = {
		.remote = probe->remote,
		.proxy = probe->pool->proxy,
		.tls = probe->pool->tls,
		.hostname = probe->snapshot->hostname,
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
	send_header(probe);
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
feed(struct probe *probe, const uint8_t *piece, size_t len)
{
	probe->received += len;
	switch (probe->check.kind->feed(&probe->check, piece, len)) {
	case CHECK_GOES_ON:
		break;
	case CHECK_DECIDED:
		finish(probe);
		break;
	case CHECK_SAYS:
		say_words(probe);
		break;
	case CHECK_SECURES:
		secure(probe);
		break;
	}
}

static void
receive_piece(struct probe *probe)
{
	uint8_t piece[PIECE_MAX];
	ssize_t len = channel_receive(probe->io.fd, probe->ssl, piece, sizeof(piece));
	if (len < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (probe->phase == PHASE_LINGER)
		linger(probe, len);
	else if (len < 0)
		finish_errno(probe, errno);
	else if (len == 0)
		finish_closed(probe);
	else
		feed(probe, piece, (size_t)len);
}

/* What OpenSSL has, the loop would not tell of. */
static void
receive(struct probe *probe)
{
	do
		receive_piece(probe);
	while (channel_has_more(probe->ssl) &&
		(probe->phase == PHASE_REPLY || probe->phase == PHASE_LINGER));
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
	else if (probe->phase == PHASE_SECURE)
		go_on_securing(probe);
	else if (probe->phase == PHASE_SEND && probe->headed)
		send_words(probe);
	else if (probe->phase == PHASE_SEND)
		send_header(probe);
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
		probe->phase == PHASE_SECURE ? "handshake"
		: connected                  ? probe->check.kind->awaited
					     : "connection",
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
	probe->headed = false;
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

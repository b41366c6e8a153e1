/*
 * One session of the load generator: see load_session.h. What it does it does with the fewest
 * system calls, so that the balancer is slower than what loads it.
 */
#include "bench/load_session.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/sendfile.h>
#include <time.h>
#include <unistd.h>

uint64_t
now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

void
session_close(struct session *session)
{
	load_tls_close(session->ssl);
	session->ssl = NULL;
	close(session->fd);
	session->fd = -1;
	session->step = STEP_FREE;
}

static void
session_fail(struct session *session, const char *what, const char *detail)
{
	static const char *const awaited[] = {
		[STEP_FREE] = "the connection",
		[STEP_SECURE] = "TLS",
		[STEP_GREETING] = "the greeting",
		[STEP_HELLO] = "the reply to EHLO",
		[STEP_STARTTLS] = "the reply to STARTTLS",
		[STEP_MAIL] = "the reply to MAIL",
		[STEP_RCPT] = "the reply to RCPT",
		[STEP_DATA] = "the reply to DATA",
		[STEP_BODY] = "the reply to the message",
		[STEP_QUIT] = "the reply to QUIT",
		[STEP_STAYS] = "nothing",
	};
	struct load *load = session->load;

	if (load->failed++ == 0)
		snprintf(load->why, sizeof(load->why), "awaiting %s: %s %.80s",
			awaited[session->step], what, detail);
	session_close(session);
}

/* Asks to be told when the socket takes more, or no longer. */
static bool
watch(struct session *session, bool blocked)
{
	struct epoll_event event = {
		.events = blocked ? EPOLLIN | EPOLLOUT : EPOLLIN,
		.data.ptr = session,
	};

	if (session->blocked == blocked)
		return true;
	session->blocked = blocked;
	if (epoll_ctl(session->load->epoll, EPOLL_CTL_MOD, session->fd, &event) == 0)
		return true;
	session_fail(session, strerror(errno), "");
	return false;
}

/* What is said and heard from here on goes through TLS, once that stands. */
static bool
secure(struct session *session)
{
	session->step = STEP_SECURE;
	session->ssl = load_tls_open(&session->load->tls, session->fd);
	if (session->ssl == NULL) {
		session_fail(session, "no memory", "");
		return false;
	}
	return session->blocked || watch(session, true);
}

static ssize_t
transmit(struct session *session, const void *bytes, size_t len)
{
	return session->ssl != NULL ? load_tls_send(session->ssl, bytes, len)
				    : send(session->fd, bytes, len, MSG_NOSIGNAL);
}

void
session_open(struct session *session, struct load *load, uint64_t began_ns)
{
	bool is_secure = load->tls.context != NULL && !load->tls.starttls;
	struct epoll_event event = {
		.events = is_secure ? EPOLLIN | EPOLLOUT : EPOLLIN,
		.data.ptr = session,
	};
	int on = 1;

	session->load = load;
	session->ssl = NULL;
	session->step = STEP_FREE;
	session->messages = 0;
	session->began_ns = began_ns;
	session->unsent = 0;
	session->blocked = is_secure;
	session->reply_len = 0;
	session->fd = socket(load->to.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	/* The end of a large message must not wait for the other's acknowledgement. */
	if (session->fd < 0 ||
		(load->body_fd >= 0 &&
			setsockopt(session->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) != 0) ||
		(connect(session->fd, (struct sockaddr *)&load->to, load->to_len) != 0 &&
			errno != EINPROGRESS) ||
		epoll_ctl(load->epoll, EPOLL_CTL_ADD, session->fd, &event) != 0) {
		session_fail(session, strerror(errno), "");
		return;
	}
	session->step = STEP_GREETING;
	if (is_secure)
		secure(session);
}

static bool
say(struct session *session, const char *text, size_t len, enum step step)
{
	if (transmit(session, text, len) != (ssize_t)len) {
		session_fail(session, "can't send", "");
		return false;
	}
	session->step = step;
	return true;
}

static bool
send_body(struct session *session)
{
	struct load *load = session->load;

	while (session->unsent > 0) {
		off_t offset = (off_t)(load->body_len - session->unsent);
		ssize_t sent =
			load->body_fd >= 0 && session->ssl == NULL
				? sendfile(session->fd, load->body_fd, &offset, session->unsent)
				: transmit(session, load->body + offset, session->unsent);

		if (sent < 0 && errno == EAGAIN)
			return watch(session, true);
		if (sent <= 0) {
			session_fail(session, "can't send", strerror(errno));
			return false;
		}
		session->unsent -= (size_t)sent;
	}
	return watch(session, false);
}

static bool
say_next(struct session *session)
{
	static const char quit[] = "QUIT\r\n";
	struct load *load = session->load;

	if (session->messages < load->messages)
		return say(session, load->mail, strlen(load->mail), STEP_MAIL);
	if (!load->stay)
		return say(session, quit, sizeof(quit) - 1, STEP_QUIT);
	session->step = STEP_STAYS;
	return true;
}

static void
count_greeting(struct session *session)
{
	struct load *load = session->load;

	if (load->greeting_count == load->greeting_room) {
		load->greeting_room = load->greeting_room * 2 + 4096;
		load->greetings =
			realloc(load->greetings, load->greeting_room * sizeof(*load->greetings));
		if (load->greetings == NULL)
			abort();
	}
	load->greetings[load->greeting_count++] = now_ns() - session->began_ns;
}

/* With nothing to send it is not told who we are, unless it has to offer STARTTLS. */
static bool
say_hello(struct session *session)
{
	static const char hello[] = "EHLO load.test\r\n";
	const struct load *load = session->load;
	bool is_asking = load->tls.starttls && session->ssl == NULL;

	if (load->messages == 0 && !is_asking)
		return say_next(session);
	return say(session, hello, sizeof(hello) - 1, STEP_HELLO);
}

/* A whole reply of the wanted kind has come. Returns false when the session is over. */
static bool
go_on(struct session *session)
{
	static const char starttls[] = "STARTTLS\r\n", rcpt[] = "RCPT TO:<to@load.test>\r\n",
			  data[] = "DATA\r\n";
	struct load *load = session->load;

	switch (session->step) {
	case STEP_GREETING:
		count_greeting(session);
		return say_hello(session);
	case STEP_BODY:
		load->accepted++;
		session->messages++;
		return say_next(session);
	case STEP_HELLO:
		if (load->tls.starttls && session->ssl == NULL)
			return say(session, starttls, sizeof(starttls) - 1, STEP_STARTTLS);
		return say_next(session);
	case STEP_STARTTLS:
		return secure(session);
	case STEP_MAIL:
		return say(session, rcpt, sizeof(rcpt) - 1, STEP_RCPT);
	case STEP_RCPT:
		return say(session, data, sizeof(data) - 1, STEP_DATA);
	case STEP_DATA:
		session->step = STEP_BODY;
		session->unsent = load->body_len;
		return send_body(session);
	case STEP_QUIT:
		session_close(session);
		return false;
	case STEP_STAYS:
	case STEP_SECURE:
	case STEP_FREE:
		session_fail(session, "got", session->reply);
		return false;
	}
	return false;
}

/* Whether what has come ends with the last line of a reply (RFC 5321 section 4.2.1). */
static bool
reply_is_whole(const struct session *session, size_t *last)
{
	size_t line = session->reply_len - 1;

	if (session->reply[line] != '\n')
		return false;
	while (line > 0 && session->reply[line - 1] != '\n')
		line--;
	*last = line;
	return session->reply_len - line > 4 && session->reply[line + 3] != '-';
}

static void
receive(struct session *session)
{
	size_t room = sizeof(session->reply) - 1 - session->reply_len;
	char *end = session->reply + session->reply_len;
	ssize_t got = session->ssl != NULL ? load_tls_receive(session->ssl, end, room)
					   : recv(session->fd, end, room, 0);
	char wanted = session->step == STEP_DATA ? '3' : '2';
	size_t last;

	if (got < 0 && errno == EAGAIN)
		return;
	if (got <= 0) {
		session_fail(session, got < 0 ? strerror(errno) : "closed", "");
		return;
	}
	session->reply_len += (size_t)got;
	session->reply[session->reply_len] = '\0';
	if (!reply_is_whole(session, &last)) {
		if (session->reply_len == sizeof(session->reply) - 1)
			session_fail(session, "an endless reply", "");
		return;
	}
	if (session->reply[last] != wanted) {
		session->reply[strcspn(session->reply, "\r\n\"\\")] = '\0';
		session_fail(session, "got", session->reply);
		return;
	}
	session->reply_len = 0;
	go_on(session);
}

/* Goes on with the handshake; behind it, with what it was for. */
static void
shake_hands(struct session *session)
{
	bool wants_write = false;

	if (load_tls_shake_hands(session->ssl, &wants_write) != 1) {
		if (errno == EAGAIN)
			watch(session, wants_write);
		else
			session_fail(session, strerror(errno), "");
		return;
	}
	if (!watch(session, false))
		return;
	session->step = STEP_GREETING;
	if (session->load->tls.starttls)
		say_hello(session);
}

void
session_advance(struct session *session)
{
	if (session->step == STEP_SECURE) {
		shake_hands(session);
		if (session->step == STEP_SECURE || session->step == STEP_FREE)
			return;
	} else if (session->blocked && !send_body(session)) {
		return;
	}
	do
		receive(session);
	while (session->ssl != NULL && SSL_pending(session->ssl) > 0);
}

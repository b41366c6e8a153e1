/*
 * A small SMTP sink: takes mail, keeps a line about each message, drops the rest. It stands in for
 * a relay in the demo, in the tests and in the benchmark, and is no part of the balancer.
 *
 * One thread, one libev loop; this file opens the listening sockets and owns them.
 *
 *	sink --smtp ADDR:PORT [--http ADDR:PORT] [--proxy off|v1|v2|any] [--record FILE]
 *		[--name NAME] [--discard]
 *
 * Port 0 takes a free one. When it listens it says so on stdout: "ready smtp=ADDR:PORT http=...".
 * SIGUSR1 silences it (connections are accepted but not greeted, probes stay green), SIGUSR2 makes
 * it talk again, HUP has it say how many messages it has kept ("kept N"), TERM and INT end it.
 */
#include "bench/client.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	BACKLOG = 4096,
	ACCEPT_BATCH = 64,
	ENDPOINT_ARG_MAX = 64,
};

static const ev_tstamp accept_pause_s = 0.1;

struct listener {
	struct sink *sink;
	void (*client_new)(struct sink *sink, int fd, const struct endpoint *source);
	struct endpoint endpoint;
	ev_io acceptable;
	ev_timer pause; /* while descriptors or memory are short */
};

/* As endpoint_parse, but takes port 0 too. */
static int
bind_parse(struct endpoint *endpoint, const char *text)
{
	char copy[ENDPOINT_ARG_MAX];
	size_t len = strlen(text);

	if (len < 2 || len >= sizeof(copy) || strcmp(text + len - 2, ":0") != 0)
		return endpoint_parse(endpoint, text);
	memcpy(copy, text, len + 1);
	copy[len - 1] = '1';
	if (endpoint_parse(endpoint, copy) != 0)
		return -1;
	endpoint->port = 0;
	return 0;
}

/* Fills endpoint's port in where it was 0. Returns the socket or -1 with errno. */
static int
listen_on(struct endpoint *endpoint)
{
	struct sockaddr_storage storage;
	socklen_t len = endpoint_to_sockaddr(endpoint, &storage);
	int fd = socket(storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int on = 1;

	if (fd < 0)
		return -1;
	/* Inherited by what is accepted: replies must not wait for each other. */
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) != 0 ||
		bind(fd, (struct sockaddr *)&storage, len) != 0 || listen(fd, BACKLOG) != 0 ||
		getsockname(fd, (struct sockaddr *)&storage, &len) != 0) {
		int error = errno;

		close(fd);
		errno = error;
		return -1;
	}
	endpoint_from_sockaddr(endpoint, (struct sockaddr *)&storage);
	return fd;
}

/* Returns false when no more can be accepted now. */
static bool
accept_one(struct listener *listener)
{
	struct sockaddr_storage storage;
	socklen_t len = sizeof(storage);
	struct endpoint source;
	int fd = accept4(listener->acceptable.fd, (struct sockaddr *)&storage, &len,
		SOCK_NONBLOCK | SOCK_CLOEXEC);

	if (fd >= 0) {
		endpoint_from_sockaddr(&source, (struct sockaddr *)&storage);
		listener->client_new(listener->sink, fd, &source);
		return true;
	}
	if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
		/* The connection stays in the queue and the socket readable: look away. */
		ev_io_stop(listener->sink->loop, &listener->acceptable);
		ev_timer_set(&listener->pause, accept_pause_s, 0.);
		ev_timer_start(listener->sink->loop, &listener->pause);
	}
	return false;
}

static void
on_acceptable(struct ev_loop *loop, ev_io *watcher, int events)
{
	(void)loop;
	(void)events;
	for (int i = 0; i < ACCEPT_BATCH && accept_one(watcher->data); i++)
		;
}

static void
on_pause_over(struct ev_loop *loop, ev_timer *watcher, int events)
{
	struct listener *listener = watcher->data;

	(void)events;
	ev_io_start(loop, &listener->acceptable);
}

static void
on_silence(struct ev_loop *loop, ev_signal *watcher, int events)
{
	struct sink *sink = watcher->data;

	(void)loop;
	(void)events;
	sink->silent = true;
}

static void
on_talk(struct ev_loop *loop, ev_signal *watcher, int events)
{
	struct sink *sink = watcher->data;

	(void)loop;
	(void)events;
	sink->silent = false;
	clients_greet(sink);
}

static void
on_count(struct ev_loop *loop, ev_signal *watcher, int events)
{
	const struct sink *sink = watcher->data;

	(void)loop;
	(void)events;
	printf("kept %llu\n", (unsigned long long)sink->kept);
	fflush(stdout);
}

static void
on_stop(struct ev_loop *loop, ev_signal *watcher, int events)
{
	(void)watcher;
	(void)events;
	ev_break(loop, EVBREAK_ALL);
}

static void
listener_start(struct listener *listener, struct sink *sink)
{
	char text[ENDPOINT_TEXT_MAX];
	int fd = listen_on(&listener->endpoint);

	if (fd < 0) {
		fprintf(stderr, "sink: can't listen on %s: %s\n",
			endpoint_format(&listener->endpoint, text), strerror(errno));
		exit(EXIT_FAILURE);
	}
	listener->sink = sink;
	ev_io_init(&listener->acceptable, on_acceptable, fd, EV_READ);
	ev_timer_init(&listener->pause, on_pause_over, accept_pause_s, 0.);
	listener->acceptable.data = listener;
	listener->pause.data = listener;
	ev_io_start(sink->loop, &listener->acceptable);
}

static void
listener_stop(struct listener *listener)
{
	ev_io_stop(listener->sink->loop, &listener->acceptable);
	ev_timer_stop(listener->sink->loop, &listener->pause);
	close(listener->acceptable.fd);
}

static __attribute__((noreturn)) void
usage(void)
{
	fputs("usage: sink --smtp ADDR:PORT [--http ADDR:PORT] [--proxy off|v1|v2|any]\n"
	      "            [--record FILE] [--name NAME] [--discard]\n",
		stderr);
	exit(2);
}

static enum header_kind
header_kind_parse(const char *text)
{
	static const char *const names[] = {
		[HEADER_OFF] = "off",
		[HEADER_V1] = "v1",
		[HEADER_V2] = "v2",
		[HEADER_ANY] = "any",
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (strcmp(text, names[i]) == 0)
			return (enum header_kind)i;
	}
	usage();
}

static int
record_open(const char *path)
{
	int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);

	if (fd < 0) {
		fprintf(stderr, "sink: %s: %s\n", path, strerror(errno));
		exit(EXIT_FAILURE);
	}
	return fd;
}

static void
options(int argc, char **argv, struct sink *sink, struct listener *smtp, struct listener *http)
{
	static const struct option names[] = {
		{"smtp", required_argument, NULL, 's'},
		{"http", required_argument, NULL, 'h'},
		{"proxy", required_argument, NULL, 'p'},
		{"record", required_argument, NULL, 'r'},
		{"name", required_argument, NULL, 'n'},
		{"discard", no_argument, NULL, 'd'},
		{NULL, 0, NULL, 0},
	};
	int option;

	while ((option = getopt_long(argc, argv, "", names, NULL)) != -1) {
		if (option == 's' && bind_parse(&smtp->endpoint, optarg) == 0)
			continue;
		if (option == 'h' && bind_parse(&http->endpoint, optarg) == 0)
			continue;
		if (option == 'p')
			sink->header = header_kind_parse(optarg);
		else if (option == 'r')
			sink->record_fd = record_open(optarg);
		else if (option == 'n')
			sink->name = optarg;
		else if (option == 'd')
			sink->discard = true;
		else
			usage();
	}
	if (optind != argc || smtp->endpoint.addr.family == ADDR_NONE)
		usage();
}

/* As many connections as the system lets us have. */
static void
raise_descriptor_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
}

static void
say_ready(const struct listener *smtp, const struct listener *http)
{
	char text[ENDPOINT_TEXT_MAX];

	printf("ready smtp=%s", endpoint_format(&smtp->endpoint, text));
	if (http->endpoint.addr.family != ADDR_NONE)
		printf(" http=%s", endpoint_format(&http->endpoint, text));
	printf("\n");
	fflush(stdout);
}

int
main(int argc, char **argv)
{
	struct sink sink = {.name = "sink.test", .record_fd = -1};
	struct listener smtp = {.client_new = client_new_smtp};
	struct listener http = {.client_new = client_new_http};
	static const struct {
		int number;
		void (*callback)(struct ev_loop *loop, ev_signal *watcher, int events);
	} signals[] = {
		{SIGUSR1, on_silence},
		{SIGUSR2, on_talk},
		{SIGHUP, on_count},
		{SIGTERM, on_stop},
		{SIGINT, on_stop},
	};
	ev_signal watchers[sizeof(signals) / sizeof(signals[0])];

	options(argc, argv, &sink, &smtp, &http);
	raise_descriptor_limit();
	sink.loop = ev_default_loop(0);
	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++) {
		ev_signal_init(&watchers[i], signals[i].callback, signals[i].number);
		watchers[i].data = &sink;
		ev_signal_start(sink.loop, &watchers[i]);
	}
	listener_start(&smtp, &sink);
	if (http.endpoint.addr.family != ADDR_NONE)
		listener_start(&http, &sink);
	say_ready(&smtp, &http);
	ev_run(sink.loop, 0);

	clients_free(&sink);
	listener_stop(&smtp);
	if (http.endpoint.addr.family != ADDR_NONE)
		listener_stop(&http);
	if (sink.record_fd >= 0)
		close(sink.record_fd);
	ev_loop_destroy(sink.loop);
	return EXIT_SUCCESS;
}

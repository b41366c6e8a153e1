/*
 * The load generator: SMTP sessions, many at a time or one by one, from one thread. It stands in
 * for smtp-source where that costs more than the balancer does, and tells the time to the greeting.
 *
 *	load --to ADDR:PORT [--sessions N] [--parallel N] [--messages N] [--size BYTES]
 *		[--rate N] [--stay] [--tls implicit|starttls [--resume]]
 *
 * --sessions 0 goes on until stdin ends. --messages 0 awaits the greeting and says QUIT. --rate
 * begins so many sessions a second instead of each when another has ended. --stay leaves them all
 * open behind their messages, where they no longer count for --parallel, says "ready" once the last
 * one is there, and closes them when stdin ends.
 *
 * --tls speaks it without asking with whom, --resume with the session that an earlier one was
 *given.
 *
 * At the end it writes a line of JSON. A session that fails is counted and not repeated.
 */
#include "acl/addr.h"
#include "bench/load_session.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

enum {
	EVENTS_MAX = 256,
	LARGE = 65536, /* a message of this size is sent from a file */
	PATIENCE_S = 60,
};

struct plan {
	struct load load;
	uint64_t sessions; /* 0 = until stdin ends */
	size_t parallel;
	size_t busy;
	const char *tls; /* NULL = none */
	uint64_t rate;   /* sessions a second; 0 = as fast as they end */
	uint64_t opened;
	uint64_t began_ns;
	bool stdin_ended;
	size_t slot_count;
	struct session *slots;
	size_t *free; /* slots without a session */
	size_t free_count;
};

static __attribute__((noreturn)) void
die(const char *what)
{
	fprintf(stderr, "load: %s: %s\n", what, strerror(errno));
	exit(EXIT_FAILURE);
}

static __attribute__((noreturn)) void
usage(void)
{
	fputs("usage: load --to ADDR:PORT [--sessions N] [--parallel N] [--messages N]\n"
	      "            [--size BYTES] [--rate N] [--stay] [--tls implicit|starttls "
	      "[--resume]]\n",
		stderr);
	exit(2);
}

static uint64_t
number(const char *text)
{
	char *end;
	uint64_t value = strtoull(text, &end, 10);

	if (*text < '0' || *text > '9' || *end != '\0')
		usage();
	return value;
}

static void
options(int argc, char **argv, struct plan *plan)
{
	static const struct option names[] = {
		{"to", required_argument, NULL, 't'},
		{"sessions", required_argument, NULL, 'n'},
		{"parallel", required_argument, NULL, 'p'},
		{"messages", required_argument, NULL, 'm'},
		{"size", required_argument, NULL, 's'},
		{"rate", required_argument, NULL, 'r'},
		{"stay", no_argument, NULL, 'y'},
		{"tls", required_argument, NULL, 'l'},
		{"resume", no_argument, NULL, 'u'},
		{NULL, 0, NULL, 0},
	};
	struct endpoint to = {.addr.family = ADDR_NONE};
	int option;

	while ((option = getopt_long(argc, argv, "", names, NULL)) != -1) {
		if (option == 't' && endpoint_parse(&to, optarg) == 0)
			plan->load.to_len = endpoint_to_sockaddr(&to, &plan->load.to);
		else if (option == 'n')
			plan->sessions = number(optarg);
		else if (option == 'p')
			plan->parallel = number(optarg);
		else if (option == 'm')
			plan->load.messages = (unsigned)number(optarg);
		else if (option == 's')
			plan->load.size = number(optarg);
		else if (option == 'r')
			plan->rate = number(optarg);
		else if (option == 'y')
			plan->load.stay = true;
		else if (option == 'l')
			plan->tls = optarg;
		else if (option == 'u')
			plan->load.tls.resumes = true;
		else
			usage();
	}
	if (optind != argc || plan->load.to_len == 0 || plan->parallel == 0)
		usage();
}

/* A header, lines of 78 bytes, the final dot. */
static void
make_body(struct load *load)
{
	static const char head[] = "Subject: load\r\n\r\n", dot[] = "\r\n.\r\n";
	size_t len = load->size > sizeof(head) + 1 ? load->size - 2 : sizeof(head) - 1;

	load->body_len = len + sizeof(dot) - 1;
	load->body = malloc(load->body_len);
	if (load->body == NULL)
		die("no memory for the message");
	memset(load->body, 'x', len);
	memcpy(load->body, head, sizeof(head) - 1);
	for (size_t at = sizeof(head) - 1 + 78; at + 2 < len; at += 80)
		memcpy(load->body + at, "\r\n", 2);
	memcpy(load->body + len, dot, sizeof(dot) - 1);
	load->size = len + 2;
	snprintf(load->mail, sizeof(load->mail), "MAIL FROM:<from@load.test> SIZE=%zu\r\n",
		load->size);
	load->body_fd = -1;
	if (load->size < LARGE)
		return;
	load->body_fd = memfd_create("message", MFD_CLOEXEC);
	if (load->body_fd < 0 ||
		write(load->body_fd, load->body, load->body_len) != (ssize_t)load->body_len)
		die("no file for the message");
}

static void
prepare_tls(struct plan *plan)
{
	struct load_tls *tls = &plan->load.tls;

	if (plan->tls == NULL)
		return;
	tls->starttls = strcmp(plan->tls, "starttls") == 0;
	if (!tls->starttls && strcmp(plan->tls, "implicit") != 0)
		usage();
	if (!load_tls_init(tls))
		die("no TLS");
	signal(SIGPIPE, SIG_IGN);
}

static void
prepare(struct plan *plan)
{
	struct rlimit limit;

	make_body(&plan->load);
	prepare_tls(plan);
	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
	prctl(PR_SET_TIMERSLACK, 1); /* a rate is kept to the microsecond */
	plan->load.epoll = epoll_create1(EPOLL_CLOEXEC);
	plan->slot_count = plan->load.stay ? plan->sessions : plan->parallel;
	plan->slots = calloc(plan->slot_count, sizeof(*plan->slots));
	plan->free = calloc(plan->slot_count, sizeof(*plan->free));
	if (plan->load.epoll < 0 || plan->slots == NULL || plan->free == NULL)
		die("can't start");
	for (size_t i = 0; i < plan->slot_count; i++)
		plan->free[plan->free_count++] = plan->slot_count - 1 - i;
}

/* stdin is watched where its end means something. */
static void
watch_stdin(struct plan *plan)
{
	struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};

	if ((plan->sessions == 0 || plan->load.stay) &&
		epoll_ctl(plan->load.epoll, EPOLL_CTL_ADD, STDIN_FILENO, &event) != 0)
		die("stdin must be a pipe");
}

static void
read_stdin(struct plan *plan)
{
	char drop[256];

	if (read(STDIN_FILENO, drop, sizeof(drop)) > 0)
		return;
	plan->stdin_ended = true;
	epoll_ctl(plan->load.epoll, EPOLL_CTL_DEL, STDIN_FILENO, NULL);
}

static bool
is_all_opened(const struct plan *plan)
{
	return plan->sessions > 0 ? plan->opened == plan->sessions : plan->stdin_ended;
}

static uint64_t
due_ns(const struct plan *plan)
{
	return plan->began_ns + plan->opened * 1000000000u / plan->rate;
}

/* Whether another session may begin, once it is due. */
static bool
has_room(const struct plan *plan)
{
	return plan->busy < plan->parallel && plan->free_count > 0 && !is_all_opened(plan);
}

/* Begins what is due. */
static void
open_due(struct plan *plan)
{
	while (has_room(plan)) {
		uint64_t now = now_ns(), began = plan->rate > 0 ? due_ns(plan) : now;
		struct session *session = &plan->slots[plan->free[plan->free_count - 1]];

		if (began > now)
			return;
		plan->opened++;
		session_open(session, &plan->load, began);
		if (session->step != STEP_FREE) {
			plan->free_count--;
			plan->busy++;
		}
	}
}

static void
take_event(struct plan *plan, struct session *session)
{
	bool was_busy;

	if (session == NULL) {
		read_stdin(plan);
		return;
	}
	was_busy = session->step != STEP_STAYS;
	session_advance(session);
	if (session->step == STEP_FREE)
		plan->free[plan->free_count++] = (size_t)(session - plan->slots);
	if (was_busy && (session->step == STEP_FREE || session->step == STEP_STAYS))
		plan->busy--;
}

static void
wait_and_take(struct plan *plan)
{
	struct epoll_event events[EVENTS_MAX];
	struct timespec timeout = {.tv_sec = PATIENCE_S};
	int count;

	if (plan->rate > 0 && has_room(plan)) {
		uint64_t due = due_ns(plan), now = now_ns(), left = due > now ? due - now : 0;

		timeout.tv_sec = (time_t)(left / 1000000000u);
		timeout.tv_nsec = (long)(left % 1000000000u);
	}
	count = epoll_pwait2(plan->load.epoll, events, EVENTS_MAX, &timeout, NULL);
	if (count == 0 && timeout.tv_sec == PATIENCE_S) {
		fprintf(stderr, "load: nothing happened for %d seconds\n", PATIENCE_S);
		exit(EXIT_FAILURE);
	}
	for (int i = 0; i < count; i++)
		take_event(plan, events[i].data.ptr);
}

/* Holds what stays until stdin ends; who leaves before has failed. */
static void
stay(struct plan *plan)
{
	struct epoll_event event;

	printf("ready\n");
	fflush(stdout);
	while (!plan->stdin_ended) {
		if (epoll_wait(plan->load.epoll, &event, 1, -1) == 1)
			take_event(plan, event.data.ptr);
	}
	for (size_t i = 0; i < plan->slot_count; i++) {
		if (plan->slots[i].step == STEP_STAYS)
			session_close(&plan->slots[i]);
	}
}

static int
by_size(const void *left, const void *right)
{
	uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;

	return (a > b) - (a < b);
}

static double
greeting_us(const struct load *load, unsigned percent)
{
	size_t at;

	if (load->greeting_count == 0)
		return 0;
	at = (load->greeting_count - 1) * percent / 100;
	return (double)load->greetings[at] / 1e3;
}

static void
report(struct plan *plan, uint64_t ended_ns)
{
	struct load *load = &plan->load;
	struct timespec cpu;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &cpu);
	if (load->greeting_count > 0)
		qsort(load->greetings, load->greeting_count, sizeof(*load->greetings), by_size);
	printf("{\"sessions\": %" PRIu64 ", \"failed\": %" PRIu64 ", \"why\": \"%s\", "
	       "\"messages\": %" PRIu64 ", \"bytes\": %" PRIu64 ", \"seconds\": %.6f, "
	       "\"cpu_ns\": %" PRIu64 ", \"greeting_p50_us\": %.2f, "
	       "\"greeting_p99_us\": %.2f}\n",
		plan->opened, load->failed, load->why, load->accepted, load->accepted * load->size,
		(double)(ended_ns - plan->began_ns) / 1e9,
		(uint64_t)cpu.tv_sec * 1000000000u + (uint64_t)cpu.tv_nsec, greeting_us(load, 50),
		greeting_us(load, 99));
}

int
main(int argc, char **argv)
{
	struct plan plan = {
		.load = {.messages = 1, .size = 1024},
		.sessions = 1,
		.parallel = 1,
	};
	uint64_t ended_ns;

	options(argc, argv, &plan);
	prepare(&plan);
	watch_stdin(&plan);
	plan.began_ns = now_ns();
	open_due(&plan);
	while (!is_all_opened(&plan) || plan.busy > 0) {
		wait_and_take(&plan);
		open_due(&plan);
	}
	ended_ns = now_ns();
	if (plan.load.stay)
		stay(&plan);
	report(&plan, ended_ns);
	free(plan.slots);
	free(plan.free);
	free(plan.load.greetings);
	free(plan.load.body);
	load_tls_fini(&plan.load.tls);
	return EXIT_SUCCESS;
}

/*
 * The standard descriptors and RLIMIT_NOFILE. Main thread.
 */
#include "lb/descriptors.h"

#include <fcntl.h>
#include <inttypes.h>
#include <sys/resource.h>
#include <unistd.h>

enum {
	DESCRIPTORS_KEPT = 64, /* for ourselves, or half of them where there are few: */
	BASE_NEED = 18,        /* the standard ones, the main thread's loop and files, */
	WORKER_NEED = 3,       /* a worker's loop and its reserve, sockets and probes; */
	COPIES = 2,            /* of its sockets, so that a new process can be given them */
	DESCRIPTORS_A_SESSION = 2,
	LINGER_SHARE = 8, /* an eighth of the descriptors at most, */
	LINGER_MAX = 1024,
};

void
descriptors_open_standard(void)
{
	int fd;
	do
		fd = open("/dev/null", O_RDWR);
	while (fd >= 0 && fd <= STDERR_FILENO);
	close(fd);
}

/* Whoever may not even ask is not told of a limit. */
static struct rlimit
get_limit(void)
{
	struct rlimit limit = {.rlim_cur = RLIM_INFINITY, .rlim_max = RLIM_INFINITY};
	getrlimit(RLIMIT_NOFILE, &limit);
	return limit;
}

void
descriptors_raise_limit(void)
{
	struct rlimit limit = get_limit();
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
}

uint64_t
descriptors_limit(void)
{
	return get_limit().rlim_cur;
}

static uint64_t
own_need(const struct snapshot *snapshot)
{
	uint64_t binds = 0, probes = 0;
	for (size_t i = 0; i < snapshot->listener_count; i++)
		binds += snapshot->listeners[i].bind_count;
	for (size_t i = 0; i < snapshot->pool_count; i++)
		probes += snapshot->pools[i].backend_count;
	return BASE_NEED + probes + snapshot->workers * (WORKER_NEED + COPIES * binds);
}

/* For clients and backends. */
static uint64_t
room(const struct snapshot *snapshot)
{
	uint64_t limit = descriptors_limit();
	uint64_t kept = limit > UINT64_C(2) * DESCRIPTORS_KEPT ? DESCRIPTORS_KEPT : limit / 2;
	uint64_t need = own_need(snapshot);
	if (kept < need)
		kept = need;
	return limit > kept ? limit - kept : 0;
}

unsigned
descriptors_linger_limit(const struct snapshot *snapshot)
{
	uint64_t share = room(snapshot) / LINGER_SHARE;
	return share < LINGER_MAX ? (unsigned)share : LINGER_MAX;
}

uint64_t
descriptors_session_limit(const struct snapshot *snapshot)
{
	uint64_t configured = snapshot->max_sessions;
	uint64_t possible =
		(room(snapshot) - descriptors_linger_limit(snapshot)) / DESCRIPTORS_A_SESSION;
	return configured && configured < possible ? configured : possible;
}

int
descriptors_check(const struct snapshot *snapshot, struct report *report)
{
	if (descriptors_session_limit(snapshot) > 0)
		return 0;
	report_error(report, snapshot->file, 0,
		"the limit of %" PRIu64 " open files is too low: this configuration takes %" PRIu64
		", and each session %d more; raise it (ulimit -n, or LimitNOFILE of systemd)",
		descriptors_limit(), own_need(snapshot), DESCRIPTORS_A_SESSION);
	return -1;
}

/*
 * The standard descriptors and RLIMIT_NOFILE. Main thread.
 */
#include "lb/descriptors.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

enum {
	DESCRIPTORS_KEPT = 64, /* for ourselves: logs, loops, probes */
	DESCRIPTORS_A_SESSION = 2,
	LINGER_SHARE = 8, /* an eighth of the descriptors at most, */
	LINGER_MAX = 4096,
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

void
descriptors_raise_limit(void)
{
	struct rlimit limit;
	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
}

/* RLIMIT_NOFILE, less what we need for ourselves. */
static uint64_t
room(void)
{
	struct rlimit limit;
	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return UINT64_MAX;
	return limit.rlim_cur > UINT64_C(2) * DESCRIPTORS_KEPT ? limit.rlim_cur - DESCRIPTORS_KEPT
							       : DESCRIPTORS_KEPT;
}

unsigned
descriptors_linger_limit(void)
{
	uint64_t share = room() / LINGER_SHARE;
	return share < LINGER_MAX ? (unsigned)share : LINGER_MAX;
}

uint64_t
descriptors_session_limit(uint64_t configured)
{
	uint64_t possible = (room() - descriptors_linger_limit()) / DESCRIPTORS_A_SESSION;
	return configured && configured < possible ? configured : possible;
}

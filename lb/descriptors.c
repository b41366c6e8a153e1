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

uint64_t
descriptors_session_limit(uint64_t configured)
{
	struct rlimit limit;
	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return configured ? configured : UINT64_MAX;
	uint64_t room = limit.rlim_cur > UINT64_C(2) * DESCRIPTORS_KEPT
				? (limit.rlim_cur - DESCRIPTORS_KEPT) / DESCRIPTORS_A_SESSION
				: DESCRIPTORS_KEPT / DESCRIPTORS_A_SESSION;
	return configured && configured < room ? configured : room;
}

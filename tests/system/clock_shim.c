/*
 * Preloaded into the balancer by clock.py: the clocks that the process sees, as the file says which
 * CLOCK_SHIM names, at any time. The wall clock is moved by some seconds, as settimeofday(2) would
 * for the whole machine. The monotonic clock stands still at a moment, or runs as it is. Any
 * thread; two int64_t in shared memory.
 */
#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

enum {
	NS_IN_S = 1000000000,
};

struct clocks {
	int64_t offset_s; /* of the wall clock */
	int64_t stop_ns;  /* where the monotonic clock stands; 0 = it runs */
};

static const volatile struct clocks *clocks; /* NULL before the constructor has run */

__attribute__((constructor)) static void
map_clocks(void)
{
	const char *file = getenv("CLOCK_SHIM");
	int fd = file ? open(file, O_RDONLY | O_CLOEXEC) : -1;
	if (fd < 0)
		_exit(99);
	void *map = mmap(NULL, sizeof(*clocks), PROT_READ, MAP_SHARED, fd, 0);
	close(fd);
	if (map == MAP_FAILED)
		_exit(99);
	clocks = map;
}

int
clock_gettime(clockid_t clock, struct timespec *now)
{
	int result = (int)syscall(SYS_clock_gettime, clock, now);
	if (result < 0 || !clocks)
		return result;
	int64_t stop_ns = clocks->stop_ns;
	if (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE) {
		now->tv_sec += clocks->offset_s;
	} else if (clock == CLOCK_MONOTONIC && stop_ns) {
		now->tv_sec = stop_ns / NS_IN_S;
		now->tv_nsec = stop_ns % NS_IN_S;
	}
	return result;
}

int
gettimeofday(struct timeval *restrict now, void *restrict zone)
{
	(void)zone;
	struct timespec moment;
	clock_gettime(CLOCK_REALTIME, &moment);
	now->tv_sec = moment.tv_sec;
	now->tv_usec = moment.tv_nsec / 1000;
	return 0;
}

time_t
time(time_t *now)
{
	struct timespec moment;
	clock_gettime(CLOCK_REALTIME, &moment);
	if (now)
		*now = moment.tv_sec;
	return moment.tv_sec;
}

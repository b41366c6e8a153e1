/*
 * Preloaded into the balancer by test_clock.py: moves the wall clock that the process sees by the
 * seconds that stand in the file which CLOCK_SHIM names, at any time, as settimeofday(2) would for
 * the whole machine. The monotonic clock stays as it is. Any thread; one int64_t in shared memory.
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

static const volatile int64_t *offset_s; /* NULL before the constructor has run */

__attribute__((constructor)) static void
map_offset(void)
{
	const char *file = getenv("CLOCK_SHIM");
	int fd = file ? open(file, O_RDONLY | O_CLOEXEC) : -1;
	if (fd < 0)
		_exit(99);
	void *map = mmap(NULL, sizeof(*offset_s), PROT_READ, MAP_SHARED, fd, 0);
	close(fd);
	if (map == MAP_FAILED)
		_exit(99);
	offset_s = map;
}

int
clock_gettime(clockid_t clock, struct timespec *now)
{
	int result = (int)syscall(SYS_clock_gettime, clock, now);
	if (result == 0 && offset_s && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE))
		now->tv_sec += *offset_s;
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

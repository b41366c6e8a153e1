/*
 * Wall-clock time and its text. Any thread.
 */
#include "lb/wall.h"

#include <stdio.h>
#include <time.h>

uint64_t
wall_us(void)
{
	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

uint64_t
wall_ms(void)
{
	return wall_us() / 1000;
}

const char *
wall_format(uint64_t ms, char buf[WALL_TEXT_MAX])
{
	time_t seconds = (time_t)(ms / 1000);
	struct tm utc;
	gmtime_r(&seconds, &utc);
	size_t len = strftime(buf, WALL_TEXT_MAX, "%Y-%m-%dT%H:%M:%S", &utc);
	snprintf(buf + len, WALL_TEXT_MAX - len, ".%03uZ", (unsigned)(ms % 1000));
	return buf;
}

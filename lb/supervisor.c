/*
 * See supervisor.h.
 */
#include "lb/supervisor.h"

#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum {
	STATE_MAX = 256,
	US_A_S = 1000000,
	NS_A_US = 1000,
};

/* A path, or with an @ in front a name in the abstract namespace (unix(7)). Returns the address's
 * length, 0 for none. */
static socklen_t
find_address(struct sockaddr_un *address)
{
	const char *name = getenv("NOTIFY_SOCKET");
	size_t len = name ? strlen(name) : 0;
	if (len == 0 || len >= sizeof(address->sun_path) || (*name != '/' && *name != '@'))
		return 0;
	*address = (struct sockaddr_un){.sun_family = AF_UNIX};
	memcpy(address->sun_path, name, len);
	if (*name == '@')
		address->sun_path[0] = '\0';
	return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len);
}

static void
tell(const char *state)
{
	struct sockaddr_un address;
	socklen_t len = find_address(&address);
	if (len == 0)
		return;
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return;
	sendto(fd, state, strlen(state), MSG_NOSIGNAL, (struct sockaddr *)&address, len);
	close(fd);
}

void
supervisor_ready(const char *status)
{
	char state[STATE_MAX];
	snprintf(state, sizeof(state), "READY=1\nSTATUS=%s", status);
	tell(state);
}

void
supervisor_reloading(void)
{
	char state[STATE_MAX];
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	snprintf(state, sizeof(state),
		"RELOADING=1\nMONOTONIC_USEC=%" PRIu64 "\nSTATUS=Loading the configuration",
		(uint64_t)now.tv_sec * US_A_S + (uint64_t)now.tv_nsec / NS_A_US);
	tell(state);
}

void
supervisor_stopping(const char *status)
{
	char state[STATE_MAX];
	snprintf(state, sizeof(state), "STOPPING=1\nSTATUS=%s", status);
	tell(state);
}

void
supervisor_hand_over(pid_t successor)
{
	char state[STATE_MAX];
	snprintf(state, sizeof(state), "MAINPID=%ld\nREADY=1\nSTATUS=Serving", (long)successor);
	tell(state);
}

/*
 * See log_syslog.h. <syslog.h> is not included: its LOG_SYSLOG is a facility.
 */
#include "lb/log_syslog.h"

#include "lb/log_stream.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum {
	FACILITY_MAIL = 2 << 3, /* RFC 3164 section 4.1.1 */
	HEAD_MAX = 64,
};

static const unsigned severities[] = {
	[LOG_LEVEL_ERROR] = 3,
	[LOG_LEVEL_WARNING] = 4,
	[LOG_LEVEL_INFO] = 6,
	[LOG_LEVEL_DEBUG] = 7,
};

void
log_syslog_init(struct log_syslog *syslog, const char *path)
{
	syslog->path = path;
	syslog->fd = -1;
}

void
log_syslog_fini(struct log_syslog *syslog)
{
	if (syslog->fd >= 0)
		close(syslog->fd);
	syslog->fd = -1;
}

static int
open_socket(struct log_syslog *syslog)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	snprintf(address.sun_path, sizeof(address.sun_path), "%s", syslog->path);
	syslog->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (syslog->fd >= 0 &&
		connect(syslog->fd, (const struct sockaddr *)&address, sizeof(address)) == 0)
		return 0;
	int error = errno;
	log_syslog_fini(syslog);
	errno = error;
	return -1;
}

/* The locale must not change the month's name. */
static size_t
write_head(char head[HEAD_MAX], enum log_level level)
{
	static const char months[][4] = {
		"Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
	time_t now = time(NULL);
	struct tm local;
	localtime_r(&now, &local);
	int len = snprintf(head, HEAD_MAX,
		"<%u>%s %2d %02d:%02d:%02d smtplb[%d]: ", FACILITY_MAIL | severities[level],
		months[local.tm_mon], local.tm_mday, local.tm_hour, local.tm_min, local.tm_sec,
		(int)getpid());
	return (size_t)len;
}

static ssize_t
send_datagram(struct log_syslog *syslog, enum log_level level, const char *line, size_t len)
{
	char head[HEAD_MAX];
	struct iovec parts[] = {
		{.iov_base = head, .iov_len = write_head(head, level)},
		{.iov_base = (void *)(uintptr_t)line, .iov_len = len - 1},
	};
	struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};
	if (syslog->fd < 0 && open_socket(syslog) < 0)
		return -1;
	return sendmsg(syslog->fd, &message, MSG_NOSIGNAL);
}

int
log_syslog_send(struct log_syslog *syslog, enum log_level level, const char *line, size_t len)
{
	bool was_connected = syslog->fd >= 0;
	ssize_t sent = send_datagram(syslog, level, line, len);
	if (sent < 0 && errno != EAGAIN && was_connected) {
		/* The daemon was started anew: its socket is another one. */
		log_syslog_fini(syslog);
		sent = send_datagram(syslog, level, line, len);
	}
	if (sent >= 0)
		return 1;
	if (errno != EAGAIN)
		return -1;
	struct pollfd pollfd = {.fd = syslog->fd, .events = POLLOUT};
	poll(&pollfd, 1, LOG_SLICE_MS);
	return 0;
}

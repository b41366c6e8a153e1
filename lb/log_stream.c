/*
 * See log_stream.h.
 */
#include "lb/log_stream.h"

#include "lb/log.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

_Static_assert(PIPE_BUF >= 2 * LOG_LINE_MAX, "room for the rest of a line and another line");

ssize_t
log_stream_write_some(int fd, const char *text, size_t len)
{
	struct pollfd pollfd = {.fd = fd, .events = POLLOUT};
	int ready = poll(&pollfd, 1, LOG_SLICE_MS);
	if (ready == 0 || (ready < 0 && errno == EINTR))
		return 0;
	ssize_t written = write(fd, text, len);
	if (written < 0 && (errno == EINTR || errno == EAGAIN))
		return 0;
	return written > 0 ? written : -1;
}

void
log_stream_init(struct log_stream *stream, int fd)
{
	stream->fd = fd;
	stream->start = stream->len = 0;
	stream->begun = false;
}

bool
log_stream_has_room(const struct log_stream *stream, size_t len)
{
	return len <= sizeof(stream->text) - stream->len;
}

void
log_stream_add(struct log_stream *stream, const char *line, size_t len)
{
	memcpy(stream->text + stream->len, line, len);
	stream->len += len;
}

int
log_stream_write(struct log_stream *stream)
{
	while (stream->start < stream->len) {
		ssize_t written = log_stream_write_some(
			stream->fd, stream->text + stream->start, stream->len - stream->start);
		if (written <= 0)
			return (int)written;
		stream->start += (size_t)written;
		stream->begun = stream->text[stream->start - 1] != '\n';
	}
	return 1;
}

static uint64_t
count_lines(const char *text, size_t len)
{
	uint64_t count = 0;
	for (size_t i = 0; i < len; i++)
		count += text[i] == '\n';
	return count;
}

uint64_t
log_stream_settle(struct log_stream *stream)
{
	const char *rest = stream->text + stream->start;
	size_t len = stream->len - stream->start;
	size_t keep = 0;
	if (stream->begun)
		while (rest[keep++] != '\n')
			;
	uint64_t lost = count_lines(rest + keep, len - keep);
	memmove(stream->text, rest, keep);
	stream->start = 0;
	stream->len = keep;
	return lost;
}

/*
 * The format of a log line, logfmt: ts=... level=... event=... key=value ... Any thread; the line
 * is the caller's, nothing is allocated.
 */
#include "lb/log.h"

#include "lb/log_queue.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static const char cut_mark[] = " cut=yes";

enum {
	/* For the pairs; behind it the mark and the newline find room always. */
	ROOM = LOG_LINE_MAX - (sizeof(cut_mark) - 1) - 1,
	ESCAPE_MAX = 4, /* \xNN */
};

static const char *const level_names[] = {
	[LOG_LEVEL_ERROR] = "error",
	[LOG_LEVEL_WARNING] = "warning",
	[LOG_LEVEL_INFO] = "info",
	[LOG_LEVEL_DEBUG] = "debug",
};

static atomic_int level_wanted = LOG_LEVEL_INFO;

void
log_set_level(enum log_level level)
{
	atomic_store_explicit(&level_wanted, (int)level, memory_order_relaxed);
}

static char *
put(char *at, const void *bytes, size_t len)
{
	memcpy(at, bytes, len);
	return at + len;
}

/* Adds a key and its value as it stands, or else the mark that the line ends here. */
static void
put_pair(struct log_line *line, const char *key, const char *value, size_t len)
{
	size_t key_len = strlen(key);
	char *at = line->text + line->len;
	if (line->len + 1 + key_len + 1 + len > ROOM) {
		line->cut = true;
		at = put(at, cut_mark, sizeof(cut_mark) - 1);
	} else {
		at = put(at, " ", 1);
		at = put(at, key, key_len);
		at = put(at, "=", 1);
		at = put(at, value, len);
	}
	line->len = (size_t)(at - line->text);
}

static bool
is_plain(uint8_t byte)
{
	return byte > ' ' && byte < 0x7F && byte != '"' && byte != '=' && byte != '\\';
}

/* A lone - means no value. */
static bool
wants_quotes(const uint8_t *value, size_t len)
{
	if (len == 1 && value[0] == '-')
		return true;
	for (size_t i = 0; i < len; i++)
		if (!is_plain(value[i]))
			return true;
	return false;
}

/* Writes the byte as it stands between quotes and returns the length. Bytes of 0x80 and more are
 * escaped too: no reader of the log ever meets broken UTF-8 or a C1 control. */
static size_t
escape(char to[ESCAPE_MAX], uint8_t byte)
{
	static const char hex[] = "0123456789abcdef";
	static const char named[] = "\"\"\\\\\nn\rr\tt"; /* pairs: the byte, its letter */
	if (is_plain(byte) || byte == ' ' || byte == '=') {
		to[0] = (char)byte;
		return 1;
	}
	to[0] = '\\';
	for (size_t i = 0; named[i]; i += 2) {
		if (byte == (uint8_t)named[i]) {
			to[1] = named[i + 1];
			return 2;
		}
	}
	to[1] = 'x';
	to[2] = hex[byte >> 4];
	to[3] = hex[byte & 0xF];
	return 4;
}

void
log_begin(struct log_line *line, enum log_level level, const char *event)
{
	line->level = level;
	line->wanted = (int)level <= atomic_load_explicit(&level_wanted, memory_order_relaxed);
	line->cut = false;
	line->len = 0;
	if (!line->wanted)
		return;
	struct timespec now;
	struct tm utc;
	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &utc);
	char ts[sizeof("ts=2026-11-24T02:06:00")];
	strftime(ts, sizeof(ts), "ts=%Y-%m-%dT%H:%M:%S", &utc);
	line->len = (size_t)snprintf(line->text, sizeof(line->text), "%s.%03ldZ level=%s", ts,
		now.tv_nsec / 1000000, level_names[level]);
	put_pair(line, "event", event, strlen(event));
}

void
log_bytes(struct log_line *line, const char *key, const void *value, size_t len)
{
	if (!line->wanted || line->cut)
		return;
	const uint8_t *bytes = value;
	if (len == 0) {
		put_pair(line, key, "-", 1);
		return;
	}
	if (!wants_quotes(bytes, len)) {
		put_pair(line, key, value, len);
		return;
	}
	/* A value that overflows the line by itself makes put_pair cut, however much is missing. */
	char quoted[LOG_LINE_MAX + ESCAPE_MAX + 1];
	size_t at = 0;
	quoted[at++] = '"';
	for (size_t i = 0; i < len && at < LOG_LINE_MAX; i++)
		at += escape(quoted + at, bytes[i]);
	quoted[at++] = '"';
	put_pair(line, key, quoted, at);
}

void
log_text(struct log_line *line, const char *key, const char *value)
{
	log_bytes(line, key, value, value ? strlen(value) : 0);
}

void
log_number(struct log_line *line, const char *key, uint64_t value)
{
	if (!line->wanted || line->cut)
		return;
	char text[sizeof("18446744073709551615")] = "-";
	int len = 1;
	if (value != LOG_NONE)
		len = snprintf(text, sizeof(text), "%" PRIu64, value);
	put_pair(line, key, text, (size_t)len);
}

void
log_endpoint(struct log_line *line, const char *key, const struct endpoint *value)
{
	if (!line->wanted || line->cut)
		return;
	char text[ENDPOINT_TEXT_MAX];
	endpoint_format(value, text);
	put_pair(line, key, text, strlen(text));
}

void
log_end(struct log_line *line)
{
	if (!line->wanted)
		return;
	line->text[line->len++] = '\n';
	log_queue_put(line->text, line->len);
}

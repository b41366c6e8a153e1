/*
 * A log line in the making, in any format. Any thread; the line is the caller's, nothing is
 * allocated.
 */
#include "lb/log.h"

#include "lb/log_elb.h"
#include "lb/log_queue.h"
#include "lb/wall.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

enum {
	ESCAPE_MAX = 6, /* \u00NN */
};

/* All that logfmt and JSON differ in. */
struct log_spelling {
	const char *first;  /* before the first key */
	const char *next;   /* before every other key */
	const char *assign; /* between a key and its value */
	const char *none;   /* the value that is none */
	const char *byte;   /* begins the escape of a byte, before two hexadecimal digits */
	const char *cut;    /* instead of the pairs for which there was no room */
	const char *close;  /* at the line's end */
	bool always_quoted; /* every text is quoted, not only those that need it */
};

/* A byte of 0x80 and more is written by its value in JSON too, as \u0080 to \u00ff: which
 * characters a peer meant nobody knows, and its bytes may be no UTF-8 at all. */
static const struct log_spelling json = {
	.first = "{\"",
	.next = ",\"",
	.assign = "\":",
	.none = "null",
	.byte = "\\u00",
	.cut = ",\"cut\":true",
	.close = "}",
	.always_quoted = true,
};

static const struct log_spelling logfmt = {
	.first = "",
	.next = " ",
	.assign = "=",
	.none = "-",
	.byte = "\\x",
	.cut = " cut=yes",
	.close = "",
};

static const char *const level_names[] = {
	[LOG_LEVEL_ERROR] = "error",
	[LOG_LEVEL_WARNING] = "warning",
	[LOG_LEVEL_INFO] = "info",
	[LOG_LEVEL_DEBUG] = "debug",
};

static atomic_int level_wanted = LOG_LEVEL_INFO;
static atomic_int format_wanted = LOG_LOGFMT;

void
log_set_level(enum log_level level)
{
	atomic_store_explicit(&level_wanted, (int)level, memory_order_relaxed);
}

void
log_set_format(enum log_format format)
{
	atomic_store_explicit(&format_wanted, (int)format, memory_order_relaxed);
}

static bool
is_plain(uint8_t byte)
{
	return byte > ' ' && byte < 0x7F && byte != '"' && byte != '=' && byte != '\\';
}

/* A lone - means no value. */
static bool
wants_quotes(const uint8_t *text, size_t len)
{
	if (len == 1 && text[0] == '-')
		return true;
	for (size_t i = 0; i < len; i++)
		if (!is_plain(text[i]))
			return true;
	return false;
}

/* Writes the byte as it stands between quotes and returns the length. Bytes of 0x80 and more are
 * escaped too: no reader of the log ever meets broken UTF-8 or a C1 control. */
static size_t
escape(char to[ESCAPE_MAX], uint8_t byte, const char *prefix)
{
	static const char hex[] = "0123456789abcdef";
	static const char named[] = "\"\"\\\\\nn\rr\tt"; /* pairs: the byte, its letter */
	if (is_plain(byte) || byte == ' ' || byte == '=') {
		to[0] = (char)byte;
		return 1;
	}
	for (size_t i = 0; named[i]; i += 2) {
		if (byte == (uint8_t)named[i]) {
			to[0] = '\\';
			to[1] = named[i + 1];
			return 2;
		}
	}
	size_t len = 0;
	while (*prefix)
		to[len++] = *prefix++;
	to[len++] = hex[byte >> 4];
	to[len++] = hex[byte & 0xF];
	return len;
}

static void
put(struct log_line *line, const char *bytes, size_t len)
{
	memcpy(line->text + line->len, bytes, len);
	line->len += len;
}

static bool
put_if_fits(struct log_line *line, const char *bytes, size_t len)
{
	if (len > line->room - line->len)
		return false;
	put(line, bytes, len);
	return true;
}

static bool
put_key(struct log_line *line, const char *key)
{
	const struct log_spelling *spelling = line->spelling;
	const char *before = line->len > 0 ? spelling->next : spelling->first;
	return put_if_fits(line, before, strlen(before)) && put_if_fits(line, key, strlen(key)) &&
	       put_if_fits(line, spelling->assign, strlen(spelling->assign));
}

static bool
put_text(struct log_line *line, const uint8_t *text, size_t len)
{
	if (!line->spelling->always_quoted && !wants_quotes(text, len))
		return put_if_fits(line, (const char *)text, len);
	char escaped[ESCAPE_MAX];
	bool fits = put_if_fits(line, "\"", 1);
	for (size_t i = 0; i < len && fits; i++)
		fits = put_if_fits(line, escaped, escape(escaped, text[i], line->spelling->byte));
	return fits && put_if_fits(line, "\"", 1);
}

/* The pair that was begun at this place has no room: the line ends here. */
static void
cut(struct log_line *line, size_t at)
{
	line->len = at;
	line->cut = true;
	put(line, line->spelling->cut, strlen(line->spelling->cut));
}

/* A value as the format writes it by itself: a number, or none. */
static void
put_plain_pair(struct log_line *line, const char *key, const char *value)
{
	size_t at = line->len;
	if (!put_key(line, key) || !put_if_fits(line, value, strlen(value)))
		cut(line, at);
}

/* What every line begins with. */
static void
begin(struct log_line *line, enum log_format format, enum log_level level, const char *event)
{
	line->format = format;
	line->spelling = format == LOG_JSON ? &json : &logfmt;
	line->room = LOG_LINE_MAX - strlen(line->spelling->cut) - strlen(line->spelling->close) - 1;
	char ts[WALL_TEXT_MAX];
	log_text(line, "ts", wall_format(wall_ms(), ts));
	log_text(line, "level", level_names[level]);
	log_text(line, "event", event);
}

static void
empty(struct log_line *line, enum log_level level, bool wanted)
{
	line->level = level;
	line->wanted = wanted;
	line->cut = false;
	line->is_columns = false;
	line->len = 0;
}

void
log_begin(struct log_line *line, enum log_level level, const char *event)
{
	empty(line, level, (int)level <= atomic_load_explicit(&level_wanted, memory_order_relaxed));
	if (line->wanted)
		begin(line,
			(enum log_format)atomic_load_explicit(&format_wanted, memory_order_relaxed),
			level, event);
}

void
log_begin_as(struct log_line *line, enum log_format format, enum log_level level, const char *event)
{
	empty(line, level, true);
	begin(line, format, level, event);
}

void
log_begin_client(struct log_line *line, enum log_level level, const char *event, uint64_t age_us)
{
	log_begin(line, level, event);
	if (line->wanted && line->format == LOG_ELB)
		log_elb_begin(line, age_us);
}

void
log_bytes(struct log_line *line, const char *key, const void *value, size_t len)
{
	if (!line->wanted || line->cut)
		return;
	if (line->is_columns) {
		log_elb_put(line, key, value, len);
		return;
	}
	if (len == 0) {
		put_plain_pair(line, key, line->spelling->none);
		return;
	}
	size_t at = line->len;
	if (!put_key(line, key) || !put_text(line, value, len))
		cut(line, at);
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
	char text[sizeof("18446744073709551615")];
	char *digit = text + sizeof(text) - 1;
	*digit = '\0';
	for (uint64_t rest = value; rest > 0 || !*digit; rest /= 10)
		*--digit = (char)('0' + rest % 10);
	if (line->is_columns)
		log_text(line, key, value == LOG_NONE ? NULL : digit);
	else
		put_plain_pair(line, key, value == LOG_NONE ? line->spelling->none : digit);
}

void
log_duration(struct log_line *line, const char *key, uint64_t value_us)
{
	char text[sizeof("18446744073709.551615")];
	if (value_us == LOG_NONE || !line->is_columns) {
		log_number(line, key, value_us == LOG_NONE ? LOG_NONE : value_us / 1000);
		return;
	}
	snprintf(text, sizeof(text), "%" PRIu64 ".%06" PRIu64, value_us / 1000000,
		value_us % 1000000);
	log_text(line, key, text);
}

void
log_endpoint(struct log_line *line, const char *key, const struct endpoint *value)
{
	if (!line->wanted || line->cut)
		return;
	char text[ENDPOINT_TEXT_MAX];
	endpoint_format(value, text);
	log_text(line, key, value->addr.family == ADDR_NONE ? NULL : text);
}

void
log_finish(struct log_line *line)
{
	if (!line->wanted)
		return;
	if (line->is_columns)
		log_elb_finish(line);
	else
		put(line, line->spelling->close, strlen(line->spelling->close));
	put(line, "\n", 1);
}

void
log_end(struct log_line *line)
{
	log_finish(line);
	if (line->wanted)
		log_queue_put(line->level, line->text, line->len);
}

/*
 * See log_elb.h.
 */
#include "lb/log_elb.h"

#include "lb/wall.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

enum {
	VALUES_MAX = LOG_LINE_MAX - 512, /* bytes; the rest is for what is no value */
	ESCAPE_MAX = sizeof("\\xNN") - 1,
};

/* What of a value is meant. */
enum part { ALL, CIPHER, VERSION };

/* In their order, with what stands there without a value. ELB writes -1 for a time, where it could
 * not hand a client on, and nothing of a request where there is no HTTP. */
static const struct {
	const char *key;
	const char *none;
	bool quoted;
	enum part part;
} columns[] = {
	{.key = "ts", .none = "-"},
	{.key = "elb", .none = "-"},
	{.key = "client", .none = "-"},
	{.key = "backend_addr", .none = "-"},
	{.key = "wait_ms", .none = "-1"},     /* request_processing_time */
	{.key = "connect_ms", .none = "-1"},  /* backend_processing_time */
	{.key = "greeting_ms", .none = "-1"}, /* response_processing_time */
	{.key = "elb_status_code", .none = "-"},
	{.key = "backend_status_code", .none = "-"},
	{.key = "bytes_in", .none = "0"},
	{.key = "bytes_out", .none = "0"},
	{.key = "request", .none = "- - - ", .quoted = true},
	{.key = "user_agent", .none = "-", .quoted = true},
	{.key = "tls", .none = "-", .part = CIPHER},
	{.key = "tls", .none = "-", .part = VERSION},
	/* Ours. */
	{.key = "id", .none = "-"},
	{.key = "listener", .none = "-"},
	{.key = "pool", .none = "-"},
	{.key = "backend", .none = "-"},
	{.key = "result", .none = "denied"}, /* whose line is the only one without */
	{.key = "end", .none = "balancer"},  /* likewise */
	{.key = "attempts", .none = "0"},
	{.key = "queue_ms", .none = "-1"},
	{.key = "duration_ms", .none = "-1"},
	{.key = "messages", .none = "-"},
	{.key = "accepted", .none = "-"},
	{.key = "deferred", .none = "-"},
	{.key = "rejected", .none = "-"},
	{.key = "last_reply", .none = "-", .quoted = true},
	{.key = "backend_tls", .none = "-"},
	{.key = "sni", .none = "-"},
	{.key = "resumed", .none = "-"},
	{.key = "opaque", .none = "-"},
	{.key = "action", .none = "-"},
	{.key = "rule", .none = "-", .quoted = true},
};

_Static_assert(sizeof(columns) / sizeof(*columns) == LOG_ELB_COLUMNS, "one span a column");

static const char *_Atomic name;

void
log_set_name(const char *value)
{
	atomic_store_explicit(&name, value, memory_order_relaxed);
}

static bool
is_plain(uint8_t byte, bool quoted)
{
	return byte > ' ' ? byte < 0x7F && byte != '"' && byte != '\\' : byte == ' ' && quoted;
}

static void
put_byte(struct log_line *line, uint8_t byte, bool plain)
{
	static const char hex[] = "0123456789abcdef";
	char *to = line->text + line->len;
	if (line->len + ESCAPE_MAX > VALUES_MAX)
		return;
	if (plain)
		to[0] = (char)byte;
	else
		memcpy(to, (char[]){'\\', 'x', hex[byte >> 4], hex[byte & 0xF]}, ESCAPE_MAX);
	line->len += plain ? 1 : ESCAPE_MAX;
}

/* A lone - means no value. */
static void
put_value(struct log_line *line, const uint8_t *value, size_t len, bool quoted)
{
	bool is_dash = len == 1 && value[0] == '-';
	for (size_t i = 0; i < len; i++)
		put_byte(line, value[i], is_plain(value[i], quoted) && !is_dash);
}

/* "TLSv1.3/TLS_AES_128_GCM_SHA256". A Classic ELB knows no TLS 1.3, and its readers no _ in a
 * cipher. */
static void
put_part(struct log_line *line, enum part part, const char *suite, size_t len)
{
	const char *slash = memchr(suite, '/', len);
	assert(slash);
	size_t version_len = (size_t)(slash - suite);
	if (part == VERSION)
		put_value(line, (const uint8_t *)suite, version_len, false);
	else
		for (size_t i = version_len + 1; i < len; i++)
			put_byte(line, suite[i] == '_' ? '-' : (uint8_t)suite[i], true);
}

void
log_elb_put(struct log_line *line, const char *key, const void *value, size_t len)
{
	for (size_t i = 0; i < LOG_ELB_COLUMNS && len > 0; i++) {
		if (strcmp(columns[i].key, key) != 0)
			continue;
		struct log_span *span = &line->columns[i];
		span->at = (uint16_t)line->len;
		if (columns[i].part == ALL)
			put_value(line, value, len, columns[i].quoted);
		else
			put_part(line, columns[i].part, value, len);
		span->len = (uint16_t)(line->len - span->at);
	}
}

void
log_elb_begin(struct log_line *line, uint64_t age_us)
{
	uint64_t began_us = wall_us() - age_us;
	char ms[WALL_TEXT_MAX], ts[WALL_TEXT_MAX + 3];
	wall_format(began_us / 1000, ms);
	int len = snprintf(
		ts, sizeof(ts), "%.*s%03uZ", (int)strlen(ms) - 1, ms, (unsigned)(began_us % 1000));
	line->is_columns = true;
	line->len = 0;
	memset(line->columns, 0, sizeof(line->columns));
	log_elb_put(line, "ts", ts, (size_t)len);
	log_text(line, "elb", atomic_load_explicit(&name, memory_order_relaxed));
}

static void
put(struct log_line *line, const char *bytes, size_t len)
{
	assert(line->len + len < LOG_LINE_MAX);
	memcpy(line->text + line->len, bytes, len);
	line->len += len;
}

void
log_elb_finish(struct log_line *line)
{
	char values[VALUES_MAX];
	memcpy(values, line->text, line->len);
	line->len = 0;
	for (size_t i = 0; i < LOG_ELB_COLUMNS; i++) {
		const struct log_span *span = &line->columns[i];
		const char *quote = columns[i].quoted ? "\"" : "";
		put(line, " ", i > 0);
		put(line, quote, strlen(quote));
		if (span->len > 0)
			put(line, values + span->at, span->len);
		else
			put(line, columns[i].none, strlen(columns[i].none));
		put(line, quote, strlen(quote));
	}
}

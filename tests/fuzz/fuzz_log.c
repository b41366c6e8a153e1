/*
 * Any bytes as values of a log line, in each format: printable text of one line, from which a
 * reader of the format gets the same values back, all of them or those before the cut; in elb's
 * columns, where as many are written as there are keys, they may be cut themselves. The input is a
 * row of values, each behind a byte that is its length (in tens of bytes where the high bit is
 * set).
 */
#include "lb/log.h"

#include "tests/unit/elb_columns.h"
#include "tests/unit/log_json.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const uint8_t *
next_value(const uint8_t *at, const uint8_t *end, size_t *len)
{
	size_t want = *at & 0x80 ? (*at & 0x7FU) * 10U : *at;
	size_t left = (size_t)(end - at) - 1;
	*len = want < left ? want : left;
	return at + 1;
}

static const char *
expect(enum log_format format, const struct log_line *line, const char *at, const char *key,
	const uint8_t *value, size_t len)
{
	const char *end = line->text + line->len - 1;
	struct logfmt_pair pair;
	if (at == end || !(at = log_pair_next(format, line->text, at, end, &pair)))
		abort();
	if (value && strcmp(pair.key, "cut") == 0 && at == end)
		return NULL;
	if (strcmp(pair.key, key) != 0)
		abort();
	if (value && (pair.len != len || memcmp(pair.value, value, len) != 0))
		abort();
	return at;
}

static void
finish(struct log_line *line)
{
	log_finish(line);
	if (line->len > LOG_LINE_MAX || line->text[line->len - 1] != '\n')
		abort();
	for (size_t i = 0; i + 1 < line->len; i++)
		if (line->text[i] < ' ' || line->text[i] > '~')
			abort();
}

static void
write_and_read(enum log_format format, const uint8_t *data, size_t size)
{
	const uint8_t *end = data + size;
	struct log_line line;
	size_t len;
	log_set_format(format);
	log_begin(&line, LOG_LEVEL_INFO, "fuzz");
	for (const uint8_t *at = data; at < end; at += len) {
		at = next_value(at, end, &len);
		log_bytes(&line, "value", at, len);
	}
	finish(&line);
	const char *text = expect(format, &line, line.text, "ts", NULL, 0);
	text = expect(format, &line, text, "level", NULL, 0);
	text = expect(format, &line, text, "event", NULL, 0);
	for (const uint8_t *at = data; text && at < end; at += len) {
		at = next_value(at, end, &len);
		text = expect(format, &line, text, "value", at, len);
	}
	if (text ? line.cut || text != line.text + line.len - 1 : !line.cut)
		abort();
}

static void
expect_column(const struct log_line *line, const struct elb_column *column, const uint8_t *value,
	size_t len)
{
	size_t written = column->none ? 0 : column->len;
	if (written > len || (written > 0 && memcmp(column->value, value, written) != 0))
		abort();
	if (written < len && line->len <= LOG_LINE_MAX - 512)
		abort();
}

/* The values in elb's columns. */
static void
write_and_split(const uint8_t *data, size_t size)
{
	static const char *const keys[] = {"sni", "rule", "listener", "id", "last_reply"};
	static const int places[] = {30, 34, 16, 15, 28};
	enum { KEYS = sizeof(keys) / sizeof(*keys) };
	const uint8_t *values[KEYS] = {NULL}, *at = data, *end = data + size;
	size_t lens[KEYS] = {0};
	struct log_line line;
	struct elb_column column;
	log_set_format(LOG_ELB);
	log_begin_client(&line, LOG_LEVEL_INFO, "fuzz", 0);
	for (size_t i = 0; i < KEYS && at < end; at += lens[i++]) {
		values[i] = at = next_value(at, end, &lens[i]);
		log_bytes(&line, keys[i], values[i], lens[i]);
	}
	finish(&line);
	const char *text = line.text, *text_end = line.text + line.len - 1;
	for (int place = 0; place < LOG_ELB_COLUMNS; place++) {
		if (!(text = elb_next(text, text_end, &column)))
			abort();
		for (size_t i = 0; i < KEYS; i++)
			if (places[i] == place)
				expect_column(&line, &column, values[i], lens[i]);
	}
	if (text != text_end)
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	write_and_read(LOG_LOGFMT, data, size);
	write_and_read(LOG_JSON, data, size);
	write_and_split(data, size);
	return 0;
}

/*
 * The format of a line: values of every kind to the letter and read back, the level, the cut.
 */
#include "lb/log.h"

#include "tests/unit/log_json.h"
#include "tests/unit/unit.h"

#include <stdio.h>
#include <time.h>
#include <unistd.h>

static const enum log_format formats[] = {LOG_LOGFMT, LOG_JSON};

/* What stands behind "ts=... level=info event=test", as a string. */
static const char *
behind_event(struct log_line *line, enum log_format format)
{
	static char text[LOG_LINE_MAX + 1];
	const char *wanted = format == LOG_JSON ? ",\"event\":\"test\"" : " event=test";
	log_finish(line);
	ck_assert_uint_le(line->len, LOG_LINE_MAX);
	memcpy(text, line->text, line->len);
	ck_assert_int_eq(text[line->len - 1], '\n');
	text[line->len - 1] = '\0';
	const char *event = strstr(text, wanted);
	ck_assert_ptr_nonnull(event);
	return event + strlen(wanted);
}

#define VALUE(text) text, sizeof(text) - 1

static const struct {
	const char *value;
	size_t len;
	const char *logfmt;
	const char *json;
} values[] = {
	{VALUE(""), "-", "null"},
	{VALUE("-"), "\"-\"", "\"-\""},
	{VALUE("--"), "--", "\"--\""},
	{VALUE("a"), "a", "\"a\""},
	{VALUE("relay1.example.jp:25"), "relay1.example.jp:25", "\"relay1.example.jp:25\""},
	{VALUE("!#$%&'()*+,-./09:;<>?@AZ[]^_`az{|}~"), "!#$%&'()*+,-./09:;<>?@AZ[]^_`az{|}~",
		"\"!#$%&'()*+,-./09:;<>?@AZ[]^_`az{|}~\""},
	{VALUE("a b"), "\"a b\"", "\"a b\""},
	{VALUE(" "), "\" \"", "\" \""},
	{VALUE("a=b"), "\"a=b\"", "\"a=b\""},
	{VALUE("say \"hi\""), "\"say \\\"hi\\\"\"", "\"say \\\"hi\\\"\""},
	{VALUE("\""), "\"\\\"\"", "\"\\\"\""},
	{VALUE("C:\\x"), "\"C:\\\\x\"", "\"C:\\\\x\""},
	{VALUE("220 a\r\nts=0 event=forged"), "\"220 a\\r\\nts=0 event=forged\"",
		"\"220 a\\r\\nts=0 event=forged\""},
	{VALUE("\t\0\x01\x1B[31m\x7F"), "\"\\t\\x00\\x01\\x1b[31m\\x7f\"",
		"\"\\t\\u0000\\u0001\\u001b[31m\\u007f\""},
	{VALUE("\x80\xC3\xA9\xFF"), "\"\\x80\\xc3\\xa9\\xff\"", "\"\\u0080\\u00c3\\u00a9\\u00ff\""},
	{VALUE("\xE2\x80\xA8"), "\"\\xe2\\x80\\xa8\"", "\"\\u00e2\\u0080\\u00a8\""},
};

START_TEST(value)
{
	for (size_t i = 0; i < 2; i++) {
		struct log_line line;
		log_set_format(formats[i]);
		log_begin(&line, LOG_LEVEL_INFO, "test");
		log_bytes(&line, "key", values[_i].value, values[_i].len);
		log_number(&line, "next", 1);
		char expected[256];
		if (formats[i] == LOG_JSON)
			snprintf(expected, sizeof(expected), ",\"key\":%s,\"next\":1}",
				values[_i].json);
		else
			snprintf(expected, sizeof(expected), " key=%s next=1", values[_i].logfmt);
		ck_assert_str_eq(behind_event(&line, formats[i]), expected);
	}
}
END_TEST

START_TEST(kinds)
{
	struct endpoint v4 = {{ADDR_V4, {203, 0, 113, 7}}, 25};
	struct endpoint v6 = {{ADDR_V6, {0x20, 0x01, 0x0D, 0xB8, [15] = 1}}, 65535};
	struct endpoint none = {.port = 0};
	struct log_line line;
	log_set_format(formats[_i]);
	log_begin(&line, LOG_LEVEL_INFO, "test");
	log_text(&line, "a", NULL);
	log_text(&line, "b", "");
	log_text(&line, "c", "x y");
	log_bytes(&line, "d", NULL, 0);
	log_number(&line, "e", 0);
	log_number(&line, "f", UINT64_MAX - 1);
	log_number(&line, "g", LOG_NONE);
	log_endpoint(&line, "h", &v4);
	log_endpoint(&line, "i", &v6);
	log_endpoint(&line, "j", &none);
	ck_assert_str_eq(behind_event(&line, formats[_i]),
		formats[_i] == LOG_JSON
			? ",\"a\":null,\"b\":null,\"c\":\"x y\",\"d\":null,\"e\":0,"
			  "\"f\":18446744073709551614,\"g\":null,\"h\":\"203.0.113.7:25\","
			  "\"i\":\"[2001:db8::1]:65535\",\"j\":null}"
			: " a=- b=- c=\"x y\" d=- e=0 f=18446744073709551614 g=- h=203.0.113.7:25"
			  " i=[2001:db8::1]:65535 j=-");
}
END_TEST

/* Every byte alone and in company comes back as it was. */
START_TEST(read_back)
{
	log_set_format(formats[_i]);
	for (unsigned byte = 0; byte < 256; byte++) {
		for (size_t len = 1; len <= 3; len++) {
			const uint8_t sent[3] = {(uint8_t)byte, 'x', (uint8_t)byte};
			struct log_line line;
			log_begin(&line, LOG_LEVEL_INFO, "test");
			log_bytes(&line, "key", sent, len);
			log_finish(&line);
			struct logfmt_pair pair = {.len = 0};
			const char *at = line.text, *end = line.text + line.len - 1;
			while (at && at < end)
				at = log_pair_next(formats[_i], line.text, at, end, &pair);
			ck_assert_msg(at != NULL, "byte %u: not of the format", byte);
			ck_assert_str_eq(pair.key, "key");
			ck_assert_uint_eq(pair.len, len);
			ck_assert_mem_eq(pair.value, sent, len);
		}
	}
}
END_TEST

/* The text at the line's place, which must have this key, as a string. Returns the next place. */
static const char *
take(enum log_format format, const struct log_line *line, const char *at, const char *key,
	char *text, size_t size)
{
	struct logfmt_pair pair;
	at = log_pair_next(format, line->text, at, line->text + line->len - 1, &pair);
	ck_assert_ptr_nonnull(at);
	ck_assert_str_eq(pair.key, key);
	ck_assert_uint_lt(pair.len, size);
	memcpy(text, pair.value, pair.len);
	text[pair.len] = '\0';
	return at;
}

START_TEST(head)
{
	static const char *const names[] = {"error", "warning", "info", "debug"};
	setenv("TZ", "Asia/Tokyo", 1);
	tzset();
	log_set_level(LOG_LEVEL_DEBUG);
	log_set_format(formats[_i]);
	for (int level = LOG_LEVEL_ERROR; level <= LOG_LEVEL_DEBUG; level++) {
		struct log_line line;
		struct tm utc = {0};
		char ts[64], name[16], event[16], again[64];
		int ms;
		time_t before = time(NULL);
		log_begin(&line, (enum log_level)level, "ready");
		log_finish(&line);
		const char *at = take(formats[_i], &line, line.text, "ts", ts, sizeof(ts));
		at = take(formats[_i], &line, at, "level", name, sizeof(name));
		at = take(formats[_i], &line, at, "event", event, sizeof(event));
		ck_assert_ptr_eq(at, line.text + line.len - 1);
		ck_assert_str_eq(name, names[level]);
		ck_assert_str_eq(event, "ready");
		ck_assert_int_eq(
			sscanf(ts, "%4d-%2d-%2dT%2d:%2d:%2d.%3dZ", &utc.tm_year, &utc.tm_mon,
				&utc.tm_mday, &utc.tm_hour, &utc.tm_min, &utc.tm_sec, &ms),
			7);
		snprintf(again, sizeof(again), "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", utc.tm_year,
			utc.tm_mon, utc.tm_mday, utc.tm_hour, utc.tm_min, utc.tm_sec, ms);
		ck_assert_str_eq(ts, again);
		utc.tm_year -= 1900;
		utc.tm_mon -= 1;
		/* time() reads a coarser clock, which may be a tick behind. */
		time_t written = timegm(&utc);
		ck_assert_int_ge(written, before);
		ck_assert_int_le(written, time(NULL) + 1);
	}
}
END_TEST

START_TEST(levels)
{
	for (int wanted = LOG_LEVEL_ERROR; wanted <= LOG_LEVEL_DEBUG; wanted++) {
		log_set_level((enum log_level)wanted);
		for (int level = LOG_LEVEL_ERROR; level <= LOG_LEVEL_DEBUG; level++) {
			struct log_line line;
			log_begin(&line, (enum log_level)level, "test");
			log_number(&line, "n", 1);
			ck_assert_int_eq(line.wanted, level <= wanted);
			ck_assert_int_eq(line.len > 0, level <= wanted);
		}
	}
}
END_TEST

/* What a reader of stderr gets when there is no writer thread. */
static size_t
written_now(struct log_line *line, char *text, size_t size)
{
	int fds[2];
	int saved = dup(STDERR_FILENO);
	ck_assert_int_eq(pipe(fds), 0);
	dup2(fds[1], STDERR_FILENO);
	log_end(line);
	dup2(saved, STDERR_FILENO);
	close(saved);
	close(fds[1]);
	ssize_t len = read(fds[0], text, size);
	close(fds[0]);
	return (size_t)len;
}

/* Values of growing length: the line is whole, or ends with the mark, and never in a value. */
START_TEST(cut)
{
	static char sent[2 * LOG_LINE_MAX];
	enum log_format format = formats[_i / 2];
	const char *escaped = format == LOG_JSON ? "\\u0001" : "\\x01";
	const char *mark = format == LOG_JSON ? ",\"cut\":true" : " cut=yes";
	memset(sent, _i % 2 ? '\x01' : 'x', sizeof(sent));
	log_set_format(format);
	size_t longest_whole = 0;
	bool was_cut = false;
	const struct endpoint none = {.port = 0};
	for (size_t len = LOG_LINE_MAX / 7 - 100; len < sizeof(sent); len++) {
		struct log_line line;
		char text[LOG_LINE_MAX + 1];
		log_begin(&line, LOG_LEVEL_INFO, "test");
		log_number(&line, "first", 1);
		log_bytes(&line, "sent", sent, len);
		log_text(&line, "text", "x");
		log_endpoint(&line, "endpoint", &none);
		log_number(&line, "last", 2);
		size_t text_len = written_now(&line, text, sizeof(text));
		ck_assert_uint_le(text_len, LOG_LINE_MAX);
		ck_assert_int_eq(text[--text_len], '\n');
		struct logfmt_pair pair = {.len = 0};
		const char *at = text, *end = text + text_len;
		bool has_sent = false;
		while (at && at < end) {
			at = log_pair_next(format, text, at, end, &pair);
			if (strcmp(pair.key, "sent") == 0) {
				has_sent = true;
				ck_assert_uint_eq(pair.len, len);
			}
		}
		ck_assert_ptr_nonnull(at);
		ck_assert_int_eq(line.cut, strcmp(pair.key, "cut") == 0);
		ck_assert(line.cut || (has_sent && strcmp(pair.key, "last") == 0));
		/* Once cut, longer ones are cut too. */
		ck_assert(line.cut || !was_cut);
		was_cut |= line.cut;
		if (!line.cut)
			longest_whole = text_len + 1;
	}
	/* All but the mark's room is used, to one more escaped byte. */
	ck_assert(was_cut);
	ck_assert_uint_gt(longest_whole + strlen(escaped) + strlen(mark), LOG_LINE_MAX);
}
END_TEST

static void
fill(TCase *cases)
{
	tcase_add_loop_test(cases, value, 0, sizeof(values) / sizeof(values[0]));
	tcase_add_loop_test(cases, kinds, 0, 2);
	tcase_add_loop_test(cases, read_back, 0, 2);
	tcase_add_loop_test(cases, head, 0, 2);
	tcase_add_test(cases, levels);
	tcase_add_loop_test(cases, cut, 0, 4);
}

UNIT_MAIN("log", fill)

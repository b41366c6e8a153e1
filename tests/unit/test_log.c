/*
 * The format of a line: values of every kind to the letter and read back, the level, the cut.
 */
#include "lb/log.h"

#include "tests/unit/logfmt.h"
#include "tests/unit/unit.h"

#include <stdio.h>
#include <time.h>
#include <unistd.h>

/* What stands behind "ts=... level=info event=test", as a string. */
static const char *
behind_event(const struct log_line *line)
{
	static char text[LOG_LINE_MAX + 1];
	memcpy(text, line->text, line->len);
	text[line->len] = '\0';
	const char *event = strstr(text, " event=test");
	ck_assert_ptr_nonnull(event);
	return event + strlen(" event=test");
}

#define VALUE(text) text, sizeof(text) - 1

static const struct {
	const char *value;
	size_t len;
	const char *written;
} values[] = {
	{VALUE(""), "-"},
	{VALUE("-"), "\"-\""},
	{VALUE("--"), "--"},
	{VALUE("a"), "a"},
	{VALUE("relay1.example.jp:25"), "relay1.example.jp:25"},
	{VALUE("!#$%&'()*+,-./09:;<>?@AZ[]^_`az{|}~"), "!#$%&'()*+,-./09:;<>?@AZ[]^_`az{|}~"},
	{VALUE("a b"), "\"a b\""},
	{VALUE(" "), "\" \""},
	{VALUE("a=b"), "\"a=b\""},
	{VALUE("say \"hi\""), "\"say \\\"hi\\\"\""},
	{VALUE("\""), "\"\\\"\""},
	{VALUE("C:\\x"), "\"C:\\\\x\""},
	{VALUE("220 a\r\nts=0 event=forged"), "\"220 a\\r\\nts=0 event=forged\""},
	{VALUE("\t\0\x01\x1B[31m\x7F"), "\"\\t\\x00\\x01\\x1b[31m\\x7f\""},
	{VALUE("\x80\xC3\xA9\xFF"), "\"\\x80\\xc3\\xa9\\xff\""},
	{VALUE("\xE2\x80\xA8"), "\"\\xe2\\x80\\xa8\""},
};

START_TEST(value)
{
	struct log_line line;
	log_begin(&line, LOG_LEVEL_INFO, "test");
	log_bytes(&line, "key", values[_i].value, values[_i].len);
	log_number(&line, "next", 1);
	char expected[256];
	snprintf(expected, sizeof(expected), " key=%s next=1", values[_i].written);
	ck_assert_str_eq(behind_event(&line), expected);
}
END_TEST

START_TEST(kinds)
{
	struct endpoint v4 = {{ADDR_V4, {203, 0, 113, 7}}, 25};
	struct endpoint v6 = {{ADDR_V6, {0x20, 0x01, 0x0D, 0xB8, [15] = 1}}, 65535};
	struct endpoint none = {.port = 0};
	struct log_line line;
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
	ck_assert_str_eq(behind_event(&line),
		" a=- b=- c=\"x y\" d=- e=0 f=18446744073709551614 g=- h=203.0.113.7:25"
		" i=[2001:db8::1]:65535 j=-");
}
END_TEST

/* Every byte alone and in company comes back as it was. */
START_TEST(read_back)
{
	for (unsigned byte = 0; byte < 256; byte++) {
		for (size_t len = 1; len <= 3; len++) {
			const uint8_t sent[3] = {(uint8_t)byte, 'x', (uint8_t)byte};
			struct log_line line;
			log_begin(&line, LOG_LEVEL_INFO, "test");
			log_bytes(&line, "key", sent, len);
			struct logfmt_pair pair = {.len = 0};
			const char *at = line.text, *end = line.text + line.len;
			while (at && at < end)
				at = logfmt_next(at, end, &pair);
			ck_assert_msg(at != NULL, "byte %u: not logfmt", byte);
			ck_assert_str_eq(pair.key, "key");
			ck_assert_uint_eq(pair.len, len);
			ck_assert_mem_eq(pair.value, sent, len);
		}
	}
}
END_TEST

START_TEST(head)
{
	static const char *const names[] = {"error", "warning", "info", "debug"};
	setenv("TZ", "Asia/Tokyo", 1);
	tzset();
	log_set_level(LOG_LEVEL_DEBUG);
	for (int level = LOG_LEVEL_ERROR; level <= LOG_LEVEL_DEBUG; level++) {
		struct log_line line;
		struct tm utc = {0};
		char name[16], event[16], again[128];
		int ms;
		time_t before = time(NULL);
		log_begin(&line, (enum log_level)level, "ready");
		line.text[line.len] = '\0';
		ck_assert_int_eq(
			sscanf(line.text, "ts=%4d-%2d-%2dT%2d:%2d:%2d.%3dZ level=%15s event=%15s",
				&utc.tm_year, &utc.tm_mon, &utc.tm_mday, &utc.tm_hour, &utc.tm_min,
				&utc.tm_sec, &ms, name, event),
			9);
		snprintf(again, sizeof(again),
			"ts=%04d-%02d-%02dT%02d:%02d:%02d.%03dZ level=%s event=ready", utc.tm_year,
			utc.tm_mon, utc.tm_mday, utc.tm_hour, utc.tm_min, utc.tm_sec, ms,
			names[level]);
		ck_assert_str_eq(line.text, again);
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
	memset(sent, _i ? '\x01' : 'x', sizeof(sent));
	size_t longest_whole = 0;
	bool was_cut = false;
	const struct endpoint none = {.port = 0};
	for (size_t len = LOG_LINE_MAX / 5 - 100; len < sizeof(sent); len++) {
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
			at = logfmt_next(at, end, &pair);
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
	ck_assert_uint_gt(longest_whole + strlen("\\x01") + strlen(" cut=yes"), LOG_LINE_MAX);
}
END_TEST

static void
fill(TCase *cases)
{
	tcase_add_loop_test(cases, value, 0, sizeof(values) / sizeof(values[0]));
	tcase_add_test(cases, kinds);
	tcase_add_test(cases, read_back);
	tcase_add_test(cases, head);
	tcase_add_test(cases, levels);
	tcase_add_loop_test(cases, cut, 0, 2);
}

UNIT_MAIN("log", fill)

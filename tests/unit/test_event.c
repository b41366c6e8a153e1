/*
 * Events: lines that go to the log and are kept, the latest hundred of them.
 */
#include "lb/event.h"

#include "lb/admin/events.h"
#include "lb/event_ring.h"
#include "tests/unit/unit.h"

#include <jansson.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum {
	THREADS = 4,
	TIMES = 500,
};

/* Of the log nothing is wanted here: what is kept does not depend on it. */
static void
log_nothing(void)
{
	log_set_level(LOG_LEVEL_ERROR);
	log_set_format(LOG_LOGFMT);
}

static void
tell(const char *value)
{
	struct event event;
	event_begin(&event, LOG_LEVEL_INFO, "test");
	event_text(&event, "said", value);
	event_number(&event, "number", 7);
	event_end(&event);
}

/* The ring by itself. */

START_TEST(newest_take_the_place_of_the_oldest)
{
	static struct event_ring ring;
	char text[LOG_LINE_MAX], expected[32];
	ck_assert_uint_eq(event_ring_read(&ring, 0, text), 0);
	for (unsigned i = 0; i < 3 * EVENT_RING_LINES; i++) {
		int len = snprintf(text, sizeof(text), "event %u", i);
		event_ring_push(&ring, text, (size_t)len);
		ck_assert_uint_eq(ring.count, i + 1);
		unsigned first = i < EVENT_RING_LINES ? 0 : i + 1 - EVENT_RING_LINES;
		for (unsigned j = 0; j <= i + 1; j++) {
			size_t known = event_ring_read(&ring, j, text);
			ck_assert(known == 0 ? j < first || j > i : j >= first && j <= i);
			len = snprintf(expected, sizeof(expected), "event %u", j);
			ck_assert(known == 0 ||
				  (known == (size_t)len && !memcmp(text, expected, known)));
		}
	}
}
END_TEST

START_TEST(a_line_may_be_as_long_as_any)
{
	static struct event_ring ring;
	static char text[LOG_LINE_MAX], read[LOG_LINE_MAX];
	memset(text, 'x', sizeof(text));
	event_ring_push(&ring, text, sizeof(text));
	ck_assert_uint_eq(event_ring_read(&ring, 0, read), sizeof(text));
	ck_assert(!memcmp(text, read, sizeof(text)));
}
END_TEST

/* And as it is used. */

/* As it is read by others. */
static json_t *
all_events(void)
{
	char *text = events_json();
	ck_assert_ptr_nonnull(text);
	json_t *json = json_loads(text, JSON_ALLOW_NUL, NULL);
	ck_assert_msg(json, "%s", text);
	free(text);
	return json;
}

static json_t *
newest(json_t *json)
{
	return json_array_get(json_object_get(json, "events"), 0);
}

START_TEST(kept_whatever_the_log_wants)
{
	json_t *json = all_events();
	ck_assert_uint_eq(json_array_size(json_object_get(json, "events")), 0);
	json_decref(json);
	log_nothing();
	tell("hello");
	json = all_events();
	ck_assert_uint_eq(json_array_size(json_object_get(json, "events")), 1);
	ck_assert_str_eq(json_string_value(json_object_get(newest(json), "event")), "test");
	ck_assert_str_eq(json_string_value(json_object_get(newest(json), "level")), "info");
	ck_assert_str_eq(json_string_value(json_object_get(newest(json), "said")), "hello");
	ck_assert_int_eq(json_integer_value(json_object_get(newest(json), "number")), 7);
	json_decref(json);
	tell(NULL);
	json = all_events();
	ck_assert_uint_eq(json_array_size(json_object_get(json, "events")), 2);
	ck_assert(json_is_null(json_object_get(newest(json), "said")));
	json_decref(json);
}
END_TEST

/* Bytes of a peer's, each by its value; one that would be too long is cut. */
START_TEST(any_bytes)
{
	struct event event;
	char bytes[256], expected[512];
	size_t len = 0;
	log_nothing();
	for (unsigned i = 0; i < sizeof(bytes); i++) {
		bytes[i] = (char)i;
		if (i >= 0x80)
			expected[len++] = (char)(0xC0 | i >> 6);
		expected[len++] = (char)(i < 0x80 ? i : 0x80 | (i & 0x3F));
	}
	event_begin(&event, LOG_LEVEL_WARNING, "test");
	log_bytes(&event.kept, "said", bytes, sizeof(bytes));
	event_end(&event);
	json_t *json = all_events();
	json_t *said = json_object_get(newest(json), "said");
	ck_assert_uint_eq(json_string_length(said), len);
	ck_assert(!memcmp(json_string_value(said), expected, len));
	json_decref(json);
	static char text[2 * LOG_LINE_MAX];
	memset(text, '<', sizeof(text) - 1);
	tell(text);
	json = all_events();
	ck_assert(json_is_true(json_object_get(newest(json), "cut")));
	ck_assert_ptr_null(json_object_get(newest(json), "said"));
	json_decref(json);
}
END_TEST

static void *
tell_often(void *unused)
{
	for (int i = 0; i < TIMES; i++)
		tell("from a thread");
	return unused;
}

/* Whoever reads while others tell sees whole lines, no gap, and none twice. */
START_TEST(read_while_threads_tell)
{
	pthread_t threads[THREADS];
	uint64_t before = event_count(), all = before + THREADS * TIMES;
	log_nothing();
	for (int i = 0; i < THREADS; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, tell_often, NULL), 0);
	while (event_count() < all) {
		json_t *json = all_events();
		ck_assert_uint_le(
			json_array_size(json_object_get(json, "events")), EVENT_RING_LINES);
		json_decref(json);
	}
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	json_t *json = all_events();
	ck_assert_uint_eq(json_array_size(json_object_get(json, "events")), EVENT_RING_LINES);
	json_decref(json);
}
END_TEST

static void
fill(TCase *cases)
{
	tcase_add_test(cases, newest_take_the_place_of_the_oldest);
	tcase_add_test(cases, a_line_may_be_as_long_as_any);
	tcase_add_test(cases, kept_whatever_the_log_wants);
	tcase_add_test(cases, any_bytes);
	tcase_add_test(cases, read_while_threads_tell);
}

UNIT_MAIN("event", fill)

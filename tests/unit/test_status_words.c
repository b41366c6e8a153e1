/*
 * The words for what the tracker knows, as the log and the admin interface show them.
 */
#include "lb/tracker.h"

#include "tests/unit/unit.h"

START_TEST(places)
{
	static const char *const names[] = {
		[TRACKER_BETWEEN] = "between",
		[TRACKER_BUSY] = "busy",
		[TRACKER_TRANSACTION] = "transaction",
		[TRACKER_AFTER_DOT] = "after_dot",
		[TRACKER_OPAQUE] = "opaque",
	};
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		ck_assert_str_eq(tracker_place_name((enum tracker_place)i), names[i]);
}
END_TEST

START_TEST(opaque)
{
	static const char *const names[] = {
		[OPAQUE_STARTTLS] = "starttls",
		[OPAQUE_AHEAD] = "ahead",
		[OPAQUE_BDAT] = "bdat",
		[OPAQUE_PIPELINE] = "pipeline",
		[OPAQUE_REPLY] = "reply",
		[OPAQUE_SURPLUS] = "surplus",
		[OPAQUE_INTERMEDIATE] = "intermediate",
	};
	ck_assert_ptr_null(tracker_opaque_name(OPAQUE_NOT));
	for (size_t i = OPAQUE_STARTTLS; i < sizeof(names) / sizeof(*names); i++)
		ck_assert_str_eq(tracker_opaque_name((enum tracker_opaque)i), names[i]);
}
END_TEST

START_TEST(messages)
{
	struct tracker tracker;
	tracker_init(&tracker);
	ck_assert_uint_eq(tracker_messages(&tracker), 0);
	tracker.messages[OUTCOME_ACCEPTED] = 1;
	tracker.messages[OUTCOME_DEFERRED] = 20;
	tracker.messages[OUTCOME_REJECTED] = 300;
	tracker.recipients[OUTCOME_ACCEPTED] = 4000;
	ck_assert_uint_eq(tracker_messages(&tracker), 321);
	tracker_fini(&tracker);
}
END_TEST

START_TEST(replies)
{
	static const struct {
		struct reply_status status;
		const char *text;
	} rows[] = {
		{{.code = 200}, "200"},
		{{.code = 354, .subject = 9, .detail = 9}, "354"},
		{{.code = 250, .class = 2}, "250 2.0.0"},
		{{.code = 550, .class = 5, .subject = 7, .detail = 26}, "550 5.7.26"},
		{{.code = 599, .class = 5, .subject = 65535, .detail = 65535}, "599 5.65535.65535"},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		char text[REPLY_STATUS_TEXT_MAX];
		ck_assert_ptr_eq(reply_status_format(&rows[i].status, text), text);
		ck_assert_str_eq(text, rows[i].text);
	}
}
END_TEST

static void
fill(TCase *cases)
{
	tcase_add_test(cases, places);
	tcase_add_test(cases, opaque);
	tcase_add_test(cases, messages);
	tcase_add_test(cases, replies);
}

UNIT_MAIN("status_words", fill)

/*
 * When a backend is in trouble, by counts that the tests make up: a table of looks.
 */
#include "lb/trouble.h"

#include "tests/unit/unit.h"

#include <string.h>

enum {
	LAST = TROUBLE_LOOKS_MAX,
	STEPS = 8,
};

static const struct {
	const char *name;
	struct {
		unsigned times; /* of the same look */
		struct stage_counts own, peers;
		enum trouble_news news; /* of the last of them; of those before, none */
	} steps[STEPS];
} rows[] = {
	{"nothing is said", {{3 * LAST, {0, 0}, {0, 0}, TROUBLE_NONE}}},
	{"all is well", {{9, {50, 1}, {50, 1}, TROUBLE_NONE}}},
	{"all fails, twice, and is well again",
		{{1, {20, 20}, {20, 0}, TROUBLE_NONE}, {1, {20, 20}, {20, 0}, TROUBLE_BEGINS},
			{5, {20, 20}, {20, 0}, TROUBLE_NONE}, {1, {20, 0}, {20, 0}, TROUBLE_ENDS},
			{1, {20, 20}, {20, 0}, TROUBLE_NONE},
			{1, {20, 20}, {20, 0}, TROUBLE_BEGINS}}},
	{"once is not enough", {{1, {20, 20}, {20, 0}, TROUBLE_NONE}, {1, {20, 6}, {20, 0}, 0},
				       {1, {20, 20}, {20, 0}, TROUBLE_NONE},
				       {1, {20, 20}, {20, 0}, TROUBLE_BEGINS}}},
	{"too few of its own, until they add up",
		{{1, {19, 19}, {99, 0}, 0}, {1, {1, 1}, {0, 0}, 0}, {1, {19, 19}, {99, 0}, 0},
			{1, {1, 1}, {0, 0}, TROUBLE_BEGINS}}},
	{"too few of the peers', until they add up",
		{{19, {20, 20}, {1, 0}, 0}, {1, {20, 20}, {1, 0}, 0}, {19, {20, 20}, {1, 0}, 0},
			{1, {20, 20}, {1, 0}, TROUBLE_BEGINS}}},
	{"no peers", {{3 * LAST, {100, 100}, {0, 0}, TROUBLE_NONE}}},
	{"as its peers", {{9, {100, 100}, {100, 100}, TROUBLE_NONE}}},
	{"a third", {{1, {100, 33}, {100, 0}, 0}, {1, {100, 33}, {100, 0}, TROUBLE_BEGINS}}},
	{"less than a third", {{9, {100, 32}, {100, 0}, TROUBLE_NONE}}},
	{"three times its peers",
		{{1, {100, 90}, {200, 60}, 0}, {1, {100, 90}, {200, 60}, TROUBLE_BEGINS}}},
	{"less than three times its peers", {{9, {1000, 899}, {1000, 300}, TROUBLE_NONE}}},
	{"a window that is old begins anew: what failed in it is forgotten",
		{{1, {19, 19}, {99, 0}, 0}, {LAST - 1, {0, 0}, {0, 0}, 0}, {1, {1, 1}, {20, 0}, 0},
			{1, {19, 19}, {20, 0}, 0}, {1, {20, 20}, {20, 0}, TROUBLE_BEGINS}}},
	{"a window is judged at the last look still",
		{{LAST - 1, {0, 0}, {0, 0}, 0}, {1, {20, 20}, {20, 0}, 0},
			{LAST - 1, {0, 0}, {0, 0}, 0}, {1, {20, 20}, {20, 0}, TROUBLE_BEGINS}}},
	{"bad windows with an empty one between them are not in a row",
		{{1, {20, 20}, {20, 0}, 0}, {LAST, {0, 0}, {0, 0}, 0}, {1, {20, 20}, {20, 0}, 0},
			{1, {20, 20}, {20, 0}, TROUBLE_BEGINS}}},
	{"lasts at a tenth", {{1, {20, 20}, {20, 0}, 0}, {1, {20, 20}, {20, 0}, TROUBLE_BEGINS},
				     {9, {100, 10}, {100, 0}, TROUBLE_NONE},
				     {1, {100, 9}, {100, 0}, TROUBLE_ENDS}}},
	{"lasts at one and a half times its peers",
		{{1, {20, 20}, {20, 0}, 0}, {1, {20, 20}, {20, 0}, TROUBLE_BEGINS},
			{9, {100, 60}, {100, 40}, TROUBLE_NONE},
			{1, {1000, 599}, {1000, 400}, TROUBLE_ENDS}}},
	{"lasts while too little is said, then a window is full",
		{{1, {20, 20}, {20, 0}, 0}, {1, {20, 20}, {20, 0}, TROUBLE_BEGINS},
			{19, {1, 0}, {99, 0}, TROUBLE_NONE}, {1, {1, 0}, {99, 0}, TROUBLE_ENDS}}},
	{"silence ends it", {{1, {20, 20}, {20, 0}, 0}, {1, {20, 20}, {20, 0}, TROUBLE_BEGINS},
				    {LAST - 1, {0, 0}, {99, 0}, TROUBLE_NONE},
				    {1, {0, 0}, {99, 0}, TROUBLE_ENDS}}},
	{"next to silence as well",
		{{1, {20, 20}, {20, 0}, 0}, {1, {20, 20}, {20, 0}, TROUBLE_BEGINS},
			{1, {19, 19}, {99, 0}, 0}, {LAST - 2, {0, 0}, {99, 0}, TROUBLE_NONE},
			{1, {0, 0}, {99, 0}, TROUBLE_ENDS}}},
	{"lasts without peers",
		{{1, {20, 20}, {20, 0}, 0}, {1, {20, 20}, {20, 0}, TROUBLE_BEGINS},
			{9, {20, 2}, {19, 19}, TROUBLE_NONE}, {1, {20, 1}, {19, 0}, TROUBLE_ENDS}}},
};

static const struct reply_status full = {.code = 452, .class = 4, .subject = 3, .detail = 1};

static enum trouble_news
look(struct trouble *trouble, struct stage_counts own, struct stage_counts peers,
	const struct reply_status *latest)
{
	struct stage_counts now = {
		trouble->seen.replies + own.replies, trouble->seen.deferred + own.deferred};
	struct stage_counts more = trouble_see(trouble, &now);
	ck_assert_uint_eq(more.replies, own.replies);
	ck_assert_uint_eq(more.deferred, own.deferred);
	more.replies += peers.replies;
	more.deferred += peers.deferred;
	return trouble_judge(trouble, &more, latest);
}

START_TEST(as_expected)
{
	struct trouble trouble = {.begun = true};
	bool lasts = false;
	for (int i = 0; i < STEPS; i++) {
		for (unsigned j = 1; j <= rows[_i].steps[i].times; j++) {
			enum trouble_news expected = j == rows[_i].steps[i].times
							     ? rows[_i].steps[i].news
							     : TROUBLE_NONE;
			enum trouble_news news = look(
				&trouble, rows[_i].steps[i].own, rows[_i].steps[i].peers, &full);
			ck_assert_msg(news == expected, "%s: step %d, look %u: %d", rows[_i].name,
				i, j, (int)news);
			if (news != TROUBLE_NONE)
				lasts = news == TROUBLE_BEGINS;
			ck_assert(trouble.lasts == lasts);
		}
	}
}
END_TEST

/* What the log tells: the window that was judged, and the reply of when it began. */
START_TEST(what_it_was_judged_by)
{
	struct trouble trouble = {.begun = true};
	struct reply_status other = {.code = 451};
	look(&trouble, (struct stage_counts){30, 20}, (struct stage_counts){40, 1}, &other);
	ck_assert_int_eq(
		look(&trouble, (struct stage_counts){19, 18}, (struct stage_counts){39, 2}, &other),
		TROUBLE_NONE);
	ck_assert_int_eq(
		look(&trouble, (struct stage_counts){2, 1}, (struct stage_counts){3, 1}, &full),
		TROUBLE_BEGINS);
	ck_assert_uint_eq(trouble.own.replies, 21);
	ck_assert_uint_eq(trouble.own.deferred, 19);
	ck_assert_uint_eq(trouble.peers.replies, 42);
	ck_assert_uint_eq(trouble.peers.deferred, 3);
	look(&trouble, (struct stage_counts){20, 20}, (struct stage_counts){20, 0}, &other);
	ck_assert_uint_eq(trouble.reply.code, 452);
	look(&trouble, (struct stage_counts){20, 0}, (struct stage_counts){20, 0}, &other);
	ck_assert_uint_eq(trouble.reply.code, 452);
	ck_assert_uint_eq(trouble.own.replies, 20);
	ck_assert_uint_eq(trouble.own.deferred, 0);
}
END_TEST

/* Counts that were another's before it: by whom nothing is known yet. */
START_TEST(nothing_begins_without_a_reply)
{
	struct trouble trouble = {.begun = true};
	struct reply_status none = {.code = 0};
	struct stage_counts own = {20, 20}, peers = {20, 0};
	for (int i = 0; i < 5; i++)
		ck_assert_int_eq(look(&trouble, own, peers, &none), TROUBLE_NONE);
	ck_assert_int_eq(look(&trouble, own, peers, &full), TROUBLE_BEGINS);
}
END_TEST

START_TEST(the_first_look_sees_where_it_stands)
{
	struct trouble trouble = {.lasts = false};
	struct stage_counts more = trouble_see(&trouble, &(struct stage_counts){1000, 900});
	ck_assert_uint_eq(more.replies, 0);
	ck_assert_uint_eq(more.deferred, 0);
	more = trouble_see(&trouble, &(struct stage_counts){1007, 905});
	ck_assert_uint_eq(more.replies, 7);
	ck_assert_uint_eq(more.deferred, 5);
}
END_TEST

static const struct {
	enum verb verb;
	int stage; /* -1: none */
} notes[] = {
	{VERB_GREETING, STAGE_GREETING},
	{VERB_MAIL, STAGE_MAIL},
	{VERB_RCPT, STAGE_RCPT},
	{VERB_DOT, STAGE_DOT},
	{VERB_BDAT_LAST, STAGE_DOT},
	{VERB_BDAT, -1},
	{VERB_DATA, -1},
	{VERB_NONE, -1},
};

START_TEST(the_latest_of_each_stage)
{
	static const struct reply_status first = {.code = 421};
	static const struct reply_status second = {
		.code = 499, .class = 4, .subject = UINT16_MAX, .detail = UINT16_MAX - 1};
	struct deferrals deferrals = {.words = {0}};
	for (int i = 0; i < STAGES; i++)
		ck_assert_uint_eq(deferral_latest(&deferrals, (enum stage)i).code, 0);
	deferral_note(&deferrals, notes[_i].verb, &first);
	deferral_note(&deferrals, notes[_i].verb, &second);
	for (int i = 0; i < STAGES; i++) {
		struct reply_status latest = deferral_latest(&deferrals, (enum stage)i);
		struct reply_status expected =
			i == notes[_i].stage ? second : (struct reply_status){0};
		ck_assert_uint_eq(latest.code, expected.code);
		ck_assert_uint_eq(latest.class, expected.class);
		ck_assert_uint_eq(latest.subject, expected.subject);
		ck_assert_uint_eq(latest.detail, expected.detail);
	}
}
END_TEST

START_TEST(what_counts_at_a_stage)
{
	struct backend_counts counts = {.sessions = 99};
	static const char *const names[] = {"GREETING", "MAIL", "RCPT", "DOT"};
	for (int i = 0; i < REPLY_CLASSES; i++) {
		counts.replies[VERB_GREETING][i] = 1;
		counts.replies[VERB_MAIL][i] = 10;
		counts.replies[VERB_RCPT][i] = 100;
		counts.replies[VERB_DOT][i] = counts.replies[VERB_BDAT][i] = 1000;
	}
	counts.replies[VERB_MAIL][REPLY_CLASS_4] = 15;
	counts.messages[OUTCOME_ACCEPTED] = 1;
	counts.messages[OUTCOME_DEFERRED] = 2;
	counts.messages[OUTCOME_REJECTED] = 4;
	static const struct stage_counts expected[] = {{4, 1}, {45, 15}, {400, 100}, {7, 2}};
	for (int i = 0; i < STAGES; i++) {
		struct stage_counts found = stage_counts_of(&counts, (enum stage)i);
		ck_assert_uint_eq(found.replies, expected[i].replies);
		ck_assert_uint_eq(found.deferred, expected[i].deferred);
		ck_assert_str_eq(stage_name((enum stage)i), names[i]);
	}
}
END_TEST

static void
fill(TCase *cases)
{
	tcase_add_loop_test(cases, as_expected, 0, sizeof(rows) / sizeof(rows[0]));
	tcase_add_test(cases, what_it_was_judged_by);
	tcase_add_test(cases, nothing_begins_without_a_reply);
	tcase_add_test(cases, the_first_look_sees_where_it_stands);
	tcase_add_loop_test(cases, the_latest_of_each_stage, 0, sizeof(notes) / sizeof(notes[0]));
	tcase_add_test(cases, what_counts_at_a_stage);
}

UNIT_MAIN("trouble", fill)

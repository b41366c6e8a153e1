/*
 * The outstanding commands: in and out in order, beside a plain list, up to the bound, and without
 * memory.
 */
#include "lb/pipeline.h"

#include "tests/unit/memory_faults.h"
#include "tests/unit/random.h"
#include "tests/unit/unit.h"

START_TEST(runs)
{
	struct pipeline pipeline;
	pipeline_init(&pipeline);
	for (int round = 0; round < 3; round++) {
		ck_assert(pipeline_is_empty(&pipeline));
		ck_assert_int_eq(pipeline_push(&pipeline, VERB_MAIL), 0);
		for (int i = 0; i < 1000; i++)
			ck_assert_int_eq(pipeline_push(&pipeline, VERB_RCPT), 0);
		ck_assert_int_eq(pipeline_push(&pipeline, VERB_BDAT_LAST), 0);
		ck_assert_uint_eq(pipeline.capacity, PIPELINE_INLINE);
		ck_assert_uint_eq(pipeline.used, 3);
		ck_assert_int_eq(pipeline_pop(&pipeline), VERB_MAIL);
		for (int i = 0; i < 1000; i++)
			ck_assert_int_eq(pipeline_pop(&pipeline), VERB_RCPT);
		ck_assert(!pipeline_is_empty(&pipeline));
		ck_assert_int_eq(pipeline_pop(&pipeline), VERB_BDAT_LAST);
	}
	ck_assert(pipeline_is_empty(&pipeline));
	pipeline_fini(&pipeline);
}
END_TEST

START_TEST(full)
{
	for (unsigned verbs = 1; verbs <= 2; verbs++) {
		struct pipeline pipeline;
		pipeline_init(&pipeline);
		for (unsigned i = 0; i < PIPELINE_MAX; i++)
			ck_assert_int_eq(pipeline_push(&pipeline, i % verbs), 0);
		ck_assert_int_eq(pipeline_push(&pipeline, 0), -1);
		for (unsigned i = 0; i < PIPELINE_MAX; i++)
			ck_assert_uint_eq(pipeline_pop(&pipeline), i % verbs);
		ck_assert(pipeline_is_empty(&pipeline));
		/* What was on the heap is gone. */
		ck_assert_uint_eq(pipeline.capacity, PIPELINE_INLINE);
	}
}
END_TEST

START_TEST(without_memory)
{
	struct pipeline pipeline;
	pipeline_init(&pipeline);
	for (unsigned i = 0; i < PIPELINE_INLINE; i++)
		ck_assert_int_eq(pipeline_push(&pipeline, i), 0);
	memory_refused = 1;
	ck_assert_int_eq(pipeline_push(&pipeline, VERB_QUIT), -1);
	ck_assert_uint_eq(memory_refused, 0);
	for (unsigned i = 0; i < PIPELINE_INLINE; i++)
		ck_assert_uint_eq(pipeline_pop(&pipeline), i);
	ck_assert(pipeline_is_empty(&pipeline));
}
END_TEST

START_TEST(beside_a_list)
{
	enum { ROUNDS = 200000, PHASE = 500 };
	static enum verb list[ROUNDS];
	size_t begin = 0, end = 0;
	uint64_t random = 7;
	struct pipeline pipeline;
	pipeline_init(&pipeline);
	for (unsigned round = 0; round < ROUNDS; round++) {
		/* It swells and shrinks by turns. */
		unsigned odds = round / PHASE % 2 ? 7 : 3;
		ck_assert_int_eq(pipeline_is_empty(&pipeline), begin == end);
		if (begin == end || random_below(&random, 10) >= odds) {
			enum verb verb = random_below(&random, VERB_BDAT_LAST + 1);
			list[end++] = verb;
			ck_assert_int_eq(pipeline_push(&pipeline, verb), 0);
		} else {
			ck_assert_int_eq(pipeline_pop(&pipeline), list[begin++]);
		}
	}
	pipeline_fini(&pipeline);
	ck_assert(pipeline_is_empty(&pipeline));
}
END_TEST

static void
fill(TCase *cases)
{
	tcase_add_test(cases, runs);
	tcase_add_test(cases, full);
	tcase_add_test(cases, without_memory);
	tcase_add_test(cases, beside_a_list);
}

UNIT_MAIN("pipeline", fill)

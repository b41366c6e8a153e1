/*
 * Tallies: blocks that threads count in, and their sum.
 */
#include "lb/tally.h"
#include "tests/unit/memory_faults.h"
#include "tests/unit/unit.h"

#include <pthread.h>

enum {
	WORKERS = 4,
	TIMES = 100000,
};

struct counts {
	uint64_t up, down, level;
};

struct counter {
	struct tally *tally;
	unsigned worker;
	unsigned done; /* atomic */
};

/* Holds a reference of its own, as a runtime that is still in use. */
static void *
count(void *argument)
{
	struct counter *counter = argument;
	struct counts *counts = tally_block(counter->tally, counter->worker);
	for (int i = 0; i < TIMES; i++) {
		tally_add(&counts->up, 1);
		tally_add(&counts->level, 2);
		tally_add(&counts->level, (uint64_t)-1);
	}
	__atomic_store_n(&counter->done, 1, __ATOMIC_RELEASE);
	tally_unref(counter->tally);
	return NULL;
}

START_TEST(sums_while_threads_count)
{
	struct tally *tally = tally_new(sizeof(struct counts), WORKERS);
	struct counter counters[WORKERS];
	pthread_t threads[WORKERS];
	struct counts sum, before = {0};
	for (unsigned i = 0; i < WORKERS; i++) {
		counters[i] = (struct counter){.tally = tally_ref(tally), .worker = i};
		ck_assert_int_eq(pthread_create(&threads[i], NULL, count, &counters[i]), 0);
	}
	for (bool done = false; !done;) {
		done = true;
		for (unsigned i = 0; i < WORKERS; i++)
			done &= __atomic_load_n(&counters[i].done, __ATOMIC_ACQUIRE) == 1;
		tally_sum(tally, &sum);
		ck_assert_uint_ge(sum.up, before.up);
		before = sum;
	}
	for (unsigned i = 0; i < WORKERS; i++)
		pthread_join(threads[i], NULL);
	tally_sum(tally, &sum);
	ck_assert_uint_eq(sum.up, WORKERS * TIMES);
	ck_assert_uint_eq(sum.level, WORKERS * TIMES);
	ck_assert_uint_eq(sum.down, 0);
	tally_unref(tally);
}
END_TEST

/* A session may be counted in at one place, and out at another. */
START_TEST(one_block_may_be_below_nothing)
{
	struct tally *tally = tally_new(sizeof(struct counts), 1);
	struct counts sum;
	tally_add(&((struct counts *)tally_block(tally, 0))->level, (uint64_t)-3);
	tally_add(&((struct counts *)tally_block_of_main(tally))->level, 5);
	tally_sum(tally, &sum);
	ck_assert_uint_eq(sum.level, 2);
	tally_unref(tally);
}
END_TEST

/* Two threads never write to one cache line. */
START_TEST(blocks_stand_apart)
{
	struct tally *tally = tally_new(sizeof(struct counts), 2);
	uintptr_t blocks[] = {(uintptr_t)tally_block(tally, 0), (uintptr_t)tally_block(tally, 1),
		(uintptr_t)tally_block_of_main(tally)};
	for (int i = 0; i < 3; i++)
		ck_assert_uint_eq(blocks[i] % 64, 0);
	ck_assert_uint_ge(blocks[1], blocks[0] + 64);
	ck_assert_uint_ge(blocks[2], blocks[1] + 64);
	tally_unref(tally);
}
END_TEST

START_TEST(no_memory_for_a_tally)
{
	for (unsigned i = 1; i <= 2; i++) {
		memory_refused = i;
		ck_assert_ptr_null(tally_new(sizeof(struct counts), WORKERS));
		ck_assert_uint_eq(memory_refused, 0);
	}
	tally_unref(NULL);
}
END_TEST

static void
fill(TCase *cases)
{
	tcase_add_test(cases, sums_while_threads_count);
	tcase_add_test(cases, one_block_may_be_below_nothing);
	tcase_add_test(cases, blocks_stand_apart);
	tcase_add_test(cases, no_memory_for_a_tally);
}

UNIT_MAIN("tally", fill)

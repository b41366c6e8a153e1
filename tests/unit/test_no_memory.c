/*
 * Loads that run out of memory: each goes on in what was set aside, to its end, which tells.
 */
#include "acl/mem.h"
#include "acl/prefix_table.h"
#include "tests/unit/unit.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static unsigned refusals; /* so many of the next calls find no memory */

void *
reallocarray(void *block, size_t count, size_t size)
{
	size_t bytes;
	if (refusals == 0 && !__builtin_mul_overflow(count, size, &bytes))
		return realloc(block, bytes);
	refusals -= refusals > 0;
	errno = ENOMEM;
	return NULL;
}

START_TEST(a_load_with_enough)
{
	size_t capacity = 0;
	ck_assert_int_eq(mem_load_begin(), 0);
	int *array = mem_grow(NULL, &capacity, sizeof(*array));
	ck_assert_uint_eq(capacity, 8);
	array = mem_try_grow(array, &capacity, sizeof(*array));
	ck_assert_uint_eq(capacity, 16);
	ck_assert_int_eq(mem_provide(1 << 20), 0);
	ck_assert(!mem_load_failed());
	ck_assert_int_eq(mem_load_end(), 0);
	free(array);
}
END_TEST

/* The first refusal lets go what was set aside, and finds its memory there. */
START_TEST(the_first_refusal_is_made_good)
{
	ck_assert_int_eq(mem_load_begin(), 0);
	refusals = 1;
	char *text = mem_text("well");
	ck_assert_str_eq(text, "well");
	ck_assert(mem_load_failed());
	text = mem_resize(text, 100, 1);
	ck_assert_str_eq(text, "well");
	ck_assert_int_eq(mem_load_end(), -1);
	free(text);
	ck_assert_int_eq(mem_load_begin(), 0);
	ck_assert(!mem_load_failed());
	ck_assert_int_eq(mem_load_end(), 0);
}
END_TEST

START_TEST(what_may_be_large_is_left_as_it_is)
{
	ck_assert_int_eq(mem_load_begin(), 0);
	size_t capacity = 0;
	uint64_t *array = mem_grow(NULL, &capacity, sizeof(*array));
	array[7] = 77;
	ck_assert_ptr_null(mem_try_resize(array, SIZE_MAX, sizeof(*array)));
	ck_assert(mem_load_failed());
	refusals = UINT_MAX;
	ck_assert_ptr_null(mem_try_grow(array, &capacity, sizeof(*array)));
	refusals = 0;
	ck_assert_uint_eq(capacity, 8);
	ck_assert_uint_eq(array[7], 77);
	ck_assert_int_eq(mem_load_end(), -1);
	free(array);
}
END_TEST

START_TEST(outside_of_a_load_it_aborts)
{
	refusals = 1;
	free(mem_try_resize(NULL, 1, 1));
}
END_TEST

START_TEST(what_is_set_aside_ends)
{
	ck_assert_int_eq(mem_load_begin(), 0);
	refusals = 2;
	free(mem_resize(NULL, 1, 1));
}
END_TEST

static void
add(struct prefix_table *table, unsigned from, unsigned to)
{
	for (unsigned i = from; i < to; i++) {
		struct prefix prefix = {
			.addr = {.family = ADDR_V4, .bytes = {10, (uint8_t)i}}, .len = 16};
		prefix_table_add(table, &prefix, true, 0, i);
	}
}

static const struct prefix_entry *
find(const struct prefix_table *table, unsigned i)
{
	struct addr addr = {.family = ADDR_V4, .bytes = {10, (uint8_t)i, 1, 1}};
	return prefix_table_find(table, &addr);
}

/* What does not fit is left out, and what there was is still there. */
START_TEST(a_table_that_can_not_grow)
{
	struct prefix_table table;
	ck_assert_int_eq(mem_load_begin(), 0);
	prefix_table_init(&table);
	add(&table, 0, 8);
	refusals = UINT_MAX;
	add(&table, 8, 20);
	refusals = 0;
	ck_assert_uint_eq(table.v4.count, 8);
	add(&table, 20, 30);
	prefix_table_seal(&table);
	for (unsigned i = 0; i < 30; i++) {
		const struct prefix_entry *entry = find(&table, i);
		ck_assert(!entry == (i >= 8 && i < 20));
		if (entry)
			ck_assert_uint_eq(entry->line, i);
	}
	prefix_table_fini(&table);
	ck_assert_int_eq(mem_load_end(), -1);
}
END_TEST

/* It gives back nothing of its room, and is whole. */
START_TEST(a_table_that_can_not_shrink)
{
	struct prefix_table table;
	ck_assert_int_eq(mem_load_begin(), 0);
	prefix_table_init(&table);
	add(&table, 0, 100);
	add(&table, 0, 100);
	refusals = 2;
	prefix_table_seal(&table);
	ck_assert_uint_eq(refusals, 0);
	ck_assert_uint_eq(table.v4.count, 100);
	for (unsigned i = 0; i < 100; i++)
		ck_assert_uint_eq(find(&table, i)->line, i);
	prefix_table_fini(&table);
	ck_assert_int_eq(mem_load_end(), -1);
}
END_TEST

/* It may be asked before the load has ended: for doubts about it. */
START_TEST(a_table_that_can_not_be_sealed)
{
	for (unsigned count = 1; count < 250; count += 16) {
		struct prefix_table table;
		ck_assert_int_eq(mem_load_begin(), 0);
		prefix_table_init(&table);
		add(&table, 0, count);
		refusals = UINT_MAX;
		prefix_table_seal(&table);
		refusals = 0;
		for (unsigned i = 0; i < 255; i++)
			ck_assert_ptr_null(find(&table, i));
		prefix_table_fini(&table);
		ck_assert_int_eq(mem_load_end(), -1);
	}
}
END_TEST

static void
fill(TCase *cases)
{
	tcase_add_test(cases, a_load_with_enough);
	tcase_add_test(cases, the_first_refusal_is_made_good);
	tcase_add_test(cases, what_may_be_large_is_left_as_it_is);
	tcase_add_test_raise_signal(cases, outside_of_a_load_it_aborts, SIGABRT);
	tcase_add_test_raise_signal(cases, what_is_set_aside_ends, SIGABRT);
	tcase_add_test(cases, a_table_that_can_not_grow);
	tcase_add_test(cases, a_table_that_can_not_shrink);
	tcase_add_test(cases, a_table_that_can_not_be_sealed);
}

UNIT_MAIN("no_memory", fill)

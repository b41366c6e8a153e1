/*
 * Chunks: joined when they fit, kept for the next use up to a bound.
 */
#include "lb/io/chunk.h"
#include "tests/unit/unit.h"

#include <stddef.h>
#include <string.h>

static struct chunk *
filled(struct chunk_pool *pool, size_t len, int byte)
{
	struct chunk *chunk = chunk_get(pool);
	ck_assert_ptr_nonnull(chunk);
	memset(chunk->bytes, byte, len);
	chunk->len = len;
	return chunk;
}

START_TEST(test_join)
{
	static const struct {
		size_t first, second;
		bool fits;
	} rows[] = {
		{1, 1, true},
		{CHUNK_SIZE - 1, 1, true},
		{CHUNK_SIZE, 1, false},
		{CHUNK_SIZE - 1, 2, false},
		{CHUNK_SIZE, 0, true},
	};
	struct chunk_pool pool;
	chunk_pool_init(&pool);
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct chunk *first = filled(&pool, rows[i].first, 'a');
		struct chunk *second = filled(&pool, rows[i].second, 'b');
		bool fits = chunk_join(first, second);
		ck_assert_int_eq(fits, rows[i].fits);
		ck_assert_uint_eq(first->len, rows[i].first + (fits ? rows[i].second : 0));
		ck_assert_int_eq(first->data[0], 'a');
		if (fits && rows[i].second)
			ck_assert_int_eq(first->data[first->len - 1], 'b');
		chunk_put(first);
		if (!fits)
			chunk_put(second);
	}
	chunk_pool_fini(&pool);
}
END_TEST

/* What was taken from the front is room again. */
START_TEST(test_join_behind_what_is_left)
{
	struct chunk_pool pool;
	chunk_pool_init(&pool);
	struct chunk *first = filled(&pool, CHUNK_SIZE, 'a');
	first->data += CHUNK_SIZE - 2;
	first->len = 2;
	ck_assert(chunk_join(first, filled(&pool, CHUNK_SIZE - 2, 'b')));
	ck_assert_uint_eq(first->len, CHUNK_SIZE);
	ck_assert_mem_eq(first->data, "aab", 3);
	ck_assert_int_eq(first->data[CHUNK_SIZE - 1], 'b');
	chunk_put(first);
	chunk_pool_fini(&pool);
}
END_TEST

START_TEST(test_pool_keeps_a_bounded_number)
{
	static const struct {
		struct chunk *(*get)(struct chunk_pool *pool);
		size_t shelf, size;
		unsigned kept;
	} rows[] = {
		{chunk_get, offsetof(struct chunk_pool, plain), CHUNK_SIZE, CHUNK_KEPT},
		{chunk_get_large, offsetof(struct chunk_pool, large), CHUNK_LARGE,
			CHUNK_LARGE_KEPT},
	};
	struct chunk_pool pool;
	struct chunk *chunks[CHUNK_KEPT + 10];
	chunk_pool_init(&pool);
	const struct chunk_shelf *shelf = (void *)((char *)&pool + rows[_i].shelf);
	for (size_t i = 0; i < CHUNK_KEPT + 10; i++) {
		chunks[i] = rows[_i].get(&pool);
		ck_assert_ptr_nonnull(chunks[i]);
		ck_assert_uint_eq(chunks[i]->size, rows[_i].size);
		memset(chunks[i]->bytes, 'x', rows[_i].size);
	}
	for (size_t i = 0; i < CHUNK_KEPT + 10; i++)
		chunk_put(chunks[i]);
	chunk_put(NULL);
	ck_assert_uint_eq(shelf->kept, rows[_i].kept);
	ck_assert_uint_eq(pool.plain.kept + pool.large.kept, rows[_i].kept);
	struct chunk *again = rows[_i].get(&pool);
	ck_assert_uint_eq(again->len, 0);
	ck_assert_ptr_eq(again->data, again->bytes);
	ck_assert_uint_eq(shelf->kept, rows[_i].kept - 1);
	chunk_put(again);
	chunk_pool_fini(&pool);
}
END_TEST

static void
add(TCase *cases)
{
	tcase_add_test(cases, test_join);
	tcase_add_test(cases, test_join_behind_what_is_left);
	tcase_add_loop_test(cases, test_pool_keeps_a_bounded_number, 0, 2);
}

UNIT_MAIN("chunk", add)

/*
 * The ring against a naive queue: random pushes and pulls of every length, round and round.
 */
#include "lb/log_ring.h"

#include "tests/unit/unit.h"

#include <stdlib.h>
#include <string.h>

static struct log_ring ring;

/* The n-th line: length, record and bytes follow from n. */
static struct log_record
make(uint64_t n, char *text)
{
	struct log_record record = {
		.len = (uint16_t)(n * 7919 % LOG_LINE_MAX + 1),
		.level = (uint8_t)(n % 4),
		.target = (uint8_t)(n / 4 % 2),
	};
	for (size_t i = 0; i < record.len; i++)
		text[i] = (char)(n + i);
	return record;
}

START_TEST(first_in_first_out)
{
	static char expected[LOG_LINE_MAX], got[LOG_LINE_MAX];
	uint64_t in = 0, out = 0;
	struct log_record record, wanted;
	bool was_full = false, was_empty = false;
	srand(7);
	while (in < 200000) {
		/* Long rows of the same, so that it gets full and empty. */
		bool push = rand() % 2;
		for (int i = rand() % 2000; i > 0 && push; i--) {
			wanted = make(in, expected);
			if (!log_ring_push(&ring, &wanted, expected)) {
				was_full = true;
				ck_assert_uint_gt(
					ring.used + sizeof(wanted) + wanted.len, LOG_QUEUE_MAX);
				break;
			}
			in++;
		}
		for (int i = rand() % 2000; i > 0 && !push; i--) {
			if (!log_ring_peek(&ring, &record)) {
				was_empty = true;
				ck_assert_uint_eq(in, out);
				break;
			}
			wanted = make(out, expected);
			ck_assert_mem_eq(&record, &wanted, sizeof(record));
			log_ring_pull(&ring, out % 5 ? got : NULL);
			if (out++ % 5)
				ck_assert_mem_eq(got, expected, record.len);
		}
		ck_assert_uint_eq(ring.lines, in - out);
	}
	ck_assert(was_full && was_empty);
}
END_TEST

static void
fill(TCase *cases)
{
	tcase_add_test(cases, first_in_first_out);
}

UNIT_MAIN("log_ring", fill)

/*
 * The report: one line an entry whatever is in it, errors never crowded out, everything counted.
 */
#include "tests/unit/unit.h"

#include "acl/report.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <wchar.h>

static unsigned spared = UINT_MAX; /* so many allocations, then there is one that fails */

void *
reallocarray(void *block, size_t count, size_t size)
{
	if (spared-- > 0)
		return realloc(block, count * size);
	errno = ENOMEM;
	return NULL;
}

START_TEST(entries_in_order)
{
	struct report report;
	report_init(&report);
	report_error(&report, "a.conf", 7, "no pool %s", "x");
	report_warning(&report, "b.conf", 0, "odd");
	ck_assert_uint_eq(report.count, 2);
	ck_assert_uint_eq(report.errors, 1);
	ck_assert_uint_eq(report.warnings, 1);
	ck_assert_str_eq(report.entries[0].text, "a.conf:7: no pool x");
	ck_assert(!report.entries[0].warning);
	ck_assert_str_eq(report.entries[1].text, "b.conf: odd");
	ck_assert(report.entries[1].warning);
	report_fini(&report);
	ck_assert_uint_eq(report.count, 0);
}
END_TEST

START_TEST(control_bytes)
{
	struct report report;
	report_init(&report);
	report_error(&report, "a\nb", 1, "%s", "x\r\n\x1b[31m\t\x7f \xe3\x81\x82");
	ck_assert_str_eq(
		report.entries[0].text, "a\\x0ab:1: x\\x0d\\x0a\\x1b[31m\\x09\\x7f \xe3\x81\x82");
	report_fini(&report);
}
END_TEST

START_TEST(more_than_it_keeps)
{
	struct report report;
	report_init(&report);
	for (unsigned i = 1; i <= 3 * REPORT_MAX; i++)
		report_warning(&report, "f", i, "odd");
	for (unsigned i = 1; i <= 2 * REPORT_MAX; i++)
		report_error(&report, "f", i, "bad");
	ck_assert_uint_eq(report.count, 2 * REPORT_MAX);
	ck_assert_uint_eq(report.errors, 2 * REPORT_MAX);
	ck_assert_uint_eq(report.warnings, 3 * REPORT_MAX);
	ck_assert_str_eq(report.entries[REPORT_MAX].text, "f:1: bad");
	report_fini(&report);
}
END_TEST

/* No memory for one more entry, or a text that can't be made, as this one in the C locale: what is
 * lost is counted all the same. */
START_TEST(what_can_not_be_kept)
{
	struct report report;
	report_init(&report);
	if (_i == 0)
		spared = 0;
	report_error(&report, "f", 1, _i == 0 ? "bad" : "%lc", (wint_t)0x20ac);
	ck_assert_uint_eq(report.errors, 1);
	ck_assert_uint_eq(report.count, 0);
	ck_assert(report.lost);
	report_error(&report, "f", 2, "worse");
	ck_assert_uint_eq(report.count, 1);
	ck_assert_str_eq(report.entries[0].text, "f:2: worse");
	report_fini(&report);
}
END_TEST

static void
fill(TCase *cases)
{
	tcase_add_test(cases, entries_in_order);
	tcase_add_test(cases, control_bytes);
	tcase_add_test(cases, more_than_it_keeps);
	tcase_add_loop_test(cases, what_can_not_be_kept, 0, 2);
}

UNIT_MAIN("report", fill)

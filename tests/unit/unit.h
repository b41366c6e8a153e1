/*
 * What every unit test file shares: run one suite and exit with its outcome.
 */
#ifndef TESTS_UNIT_UNIT_H
#define TESTS_UNIT_UNIT_H

#include <check.h>
#include <stdlib.h>

/* Whether a sanitizer is at work. */
#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define UNIT_SANITIZED 1
#endif
#endif

static inline TCase *
unit_tcase(Suite *suite, const char *name)
{
	TCase *cases = tcase_create(name);
	tcase_set_timeout(cases, 120);
	suite_add_tcase(suite, cases);
	return cases;
}

static inline int
unit_run(Suite *suite)
{
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

/* A main that runs the suite made of the one TCase that `fill` adds its tests to. */
#define UNIT_MAIN(name, fill)                      \
	int main(void)                             \
	{                                          \
		Suite *suite = suite_create(name); \
		fill(unit_tcase(suite, name));     \
		return unit_run(suite);            \
	}

#endif

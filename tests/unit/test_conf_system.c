/*
 * Configurations where the system or libconfuse says what it rarely says: other numbers of CPUs,
 * and a parser that fails without a word or lets pass what is none.
 */
#include "conf/grammar.h"
#include "conf/snapshot.h"
#include "tests/unit/unit.h"

#include <dlfcn.h>
#include <errno.h>
#include <sched.h>
#include <string.h>

static int cpus; /* that this process may use; -1: there are too many for the set to hold */

int
sched_getaffinity(pid_t pid, size_t size, cpu_set_t *set)
{
	(void)pid;
	CPU_ZERO_S(size, set);
	for (int i = 0; i < cpus; i++)
		CPU_SET_S((size_t)i, size, set);
	errno = EINVAL;
	return cpus < 0 ? -1 : 0;
}

static enum {
	PARSER_AS_IT_IS,
	PARSER_FAILS,
	PARSER_LETS_PASS,
} parser;

int
cfg_parse_buf(cfg_t *top, const char *text)
{
	__typeof__(&cfg_parse_buf) real =
		(__typeof__(&cfg_parse_buf))dlsym(RTLD_NEXT, "cfg_parse_buf");
	if (parser == PARSER_AS_IT_IS)
		return real(top, text);
	return parser == PARSER_FAILS ? CFG_FILE_ERROR : CFG_SUCCESS;
}

static const char sound[] =
	"user = \"\"\n"
	"acl senders { allow = 203.0.113.0/24 }\n"
	"pool relays { proxy_protocol = v2  backend relay1 { address = 10.0.1.11 } }\n"
	"listener smtp { bind = 0.0.0.0:25  acl = senders  pool = relays }\n";

START_TEST(a_worker_for_each_cpu)
{
	static const struct {
		int cpus;
		unsigned workers;
	} rows[] = {{1, 1}, {3, 3}, {255, 255}, {256, 256}, {257, 256}, {1024, 256}, {-1, 1}};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct report report;
		report_init(&report);
		cpus = rows[i].cpus;
		struct snapshot *snapshot = snapshot_parse("conf", sound, strlen(sound), &report);
		ck_assert_ptr_nonnull(snapshot);
		ck_assert_uint_eq(snapshot->workers, rows[i].workers);
		ck_assert_uint_eq(report.count, 0);
		snapshot_unref(snapshot);
		report_fini(&report);
	}
}
END_TEST

/* Before it there may be what is said of the defaults. */
static void
must_refuse(const char *text, const char *why)
{
	struct report report;
	report_init(&report);
	cpus = 1;
	ck_assert_ptr_null(snapshot_parse("conf", text, strlen(text), &report));
	ck_assert_uint_ge(report.errors, 1);
	ck_assert_str_eq(report.entries[report.count - 1].text, why);
	report_fini(&report);
}

START_TEST(a_parser_that_fails_without_a_word)
{
	parser = PARSER_FAILS;
	must_refuse(sound, "conf:1: this is no configuration");
}
END_TEST

START_TEST(a_parser_that_lets_pass_what_is_none)
{
	parser = PARSER_LETS_PASS;
	must_refuse(
		"user = \"\"\n\nacl = { = }\n", "conf:3: this is no statement; write KEY = VALUE");
}
END_TEST

static void
fill(TCase *cases)
{
	tcase_add_test(cases, a_worker_for_each_cpu);
	tcase_add_test(cases, a_parser_that_fails_without_a_word);
	tcase_add_test(cases, a_parser_that_lets_pass_what_is_none);
}

UNIT_MAIN("conf_system", fill)

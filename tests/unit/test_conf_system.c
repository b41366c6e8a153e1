/*
 * Configurations where the system or libconfuse says what it rarely says: other numbers of CPUs,
 * other accounts, no file, and a parser that fails without a word or lets pass what is none.
 */
#include "conf/grammar.h"
#include "conf/snapshot.h"
#include "tests/unit/unit.h"

#include <dlfcn.h>
#include <errno.h>
#include <pwd.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

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

static uid_t uid; /* on a machine that has one account, mail */

uid_t
geteuid(void)
{
	return uid;
}

struct passwd *
getpwnam(const char *name)
{
	static struct passwd account;
	return strcmp(name, "mail") == 0 ? &account : NULL;
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

/* What a syntax error hides may name another user than the default. */
START_TEST(root_needs_a_user_that_exists)
{
	static const struct {
		uid_t uid;
		const char *text;
		const char *said; /* of the user; NULL for nothing */
	} rows[] = {
		{0, "", "conf: `user = smtplb` (the default) names no user of this machine"},
		{0, "user = nobody", "conf:1: `user = nobody` names no user of this machine"},
		{0, "user = nobody\nworkers = = 1",
			"conf:1: `user = nobody` names no user of this machine"},
		{0, "workers = = 1\nuser = mail", NULL},
		{0, "user = mail", NULL},
		{0, "user = \"\"", NULL},
		{1000, "", NULL},
		{1000, "user = nobody", NULL},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct report report;
		const char *text = rows[i].text, *said = NULL;
		report_init(&report);
		cpus = 1;
		uid = rows[i].uid;
		ck_assert_ptr_null(snapshot_parse("conf", text, strlen(text), &report));
		for (size_t j = 0; j < report.count; j++)
			if (strstr(report.entries[j].text, "no user"))
				said = report.entries[j].text;
		ck_assert_int_eq(!said, !rows[i].said);
		if (said)
			ck_assert_msg(
				strncmp(said, rows[i].said, strlen(rows[i].said)) == 0, "%s", said);
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

/* A command asks for it before anybody has said that there is no such file. */
START_TEST(the_socket_of_a_file_that_is_not_there)
{
	char *path = snapshot_admin_socket("conf/none.conf");
	ck_assert_str_eq(path, "/run/smtplb/admin.sock");
	free(path);
}
END_TEST

static void
fill(TCase *cases)
{
	tcase_add_test(cases, a_worker_for_each_cpu);
	tcase_add_test(cases, root_needs_a_user_that_exists);
	tcase_add_test(cases, a_parser_that_fails_without_a_word);
	tcase_add_test(cases, a_parser_that_lets_pass_what_is_none);
	tcase_add_test(cases, the_socket_of_a_file_that_is_not_there);
}

UNIT_MAIN("conf_system", fill)

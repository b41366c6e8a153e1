/*
 * What a loaded snapshot holds, its references, and the two shipped examples: that they load, and
 * that the reference names every key of the grammar with its default.
 */
#include "conf/grammar.h"
#include "conf/snapshot.h"
#include "conf/text.h"
#include "tests/unit/unit.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Loads and expects success; the report's messages show when it fails. */
static struct snapshot *
load(const char *name, const char *text, size_t expected_warnings)
{
	struct report report;
	report_init(&report);
	struct snapshot *snapshot = snapshot_parse(name, text, strlen(text), &report);
	ck_assert_msg(snapshot, "%s", report.count ? report.entries[0].text : "no message");
	ck_assert_msg(report.count == expected_warnings, "%zu messages, the first: %s",
		report.count, report.count ? report.entries[0].text : "");
	report_fini(&report);
	return snapshot;
}

/* The rest of a configuration, so that a test shows only what it is about. */
static const char rest[] =
	"user = \"\"\n"
	"acl senders { allow = 203.0.113.0/24 }\n"
	"pool relays { proxy_protocol = v2  backend relay1 { address = 10.0.1.11 } }\n"
	"listener smtp { bind = 0.0.0.0:25  acl = senders  pool = relays }\n";

/* Probes of the mail port follow the backend's port unless they are told another. */
START_TEST(knows_the_checks)
{
	static const struct {
		const char *health;
		enum check_type type;
		uint16_t port;
	} checks[] = {
		{"", CHECK_HTTP, 80},
		{"type = http  port = 25", CHECK_HTTP, 25},
		{"type = tcp", CHECK_TCP, 0},
		{"type = tcp  port = 80", CHECK_TCP, 80},
		{"type = smtp", CHECK_SMTP, 0},
		{"type = smtp  port = 2525", CHECK_SMTP, 2525},
		{"type = none", CHECK_NONE, 0},
	};
	char text[1000];
	snprintf(text, sizeof(text), "%.*spool relays { proxy_protocol = v1  health { %s }%s",
		(int)(strstr(rest, "pool relays") - rest), rest, checks[_i].health,
		strstr(rest, "  backend"));
	struct snapshot *snapshot = load("checks", text, 0);
	ck_assert_int_eq(snapshot->pools[0].check.type, checks[_i].type);
	ck_assert_uint_eq(snapshot->pools[0].check.port, checks[_i].port);
	snapshot_unref(snapshot);
}
END_TEST

/* Who is not root can't become anybody else, and need not. */
START_TEST(asks_for_the_user_as_root_only)
{
	char text[1000];
	snprintf(text, sizeof(text), "user = nobody-of-that-name\n%s", strchr(rest, '\n') + 1);
	uid_t own = geteuid();
	if (own == 0)
		ck_assert_int_eq(seteuid(65534), 0);
	struct snapshot *snapshot = load("other user", text, 0);
	ck_assert_int_eq(seteuid(own), 0);
	ck_assert_str_eq(snapshot->user, "nobody-of-that-name");
	snapshot_unref(snapshot);
}
END_TEST

START_TEST(fills_in_the_defaults)
{
	struct snapshot *snapshot = load("rest", rest, 0);
	char own[256] = "";
	gethostname(own, sizeof(own) - 1);
	ck_assert_str_eq(snapshot->file, "rest");
	ck_assert_str_eq(snapshot->hostname, own);
	ck_assert_uint_ge(snapshot->workers, 1);
	ck_assert_str_eq(snapshot->user, "");
	ck_assert_uint_eq(snapshot->max_sessions, 0);
	ck_assert_uint_eq(snapshot->drain_timeout_ms, 300000);
	ck_assert_int_eq(snapshot->log_level, LOG_LEVEL_INFO);
	ck_assert_uint_eq(snapshot->acl_count, 1);
	ck_assert_uint_eq(snapshot->pool_count, 1);
	ck_assert_uint_eq(snapshot->listener_count, 1);

	const struct pool_conf *pool = &snapshot->pools[0];
	ck_assert_str_eq(pool->name, "relays");
	ck_assert_int_eq(pool->proxy, PROXY_V2);
	ck_assert_uint_eq(pool->connect_timeout_ms, 5000);
	ck_assert_uint_eq(pool->greeting_timeout_ms, 10000);
	ck_assert_uint_eq(pool->greeting_budget_ms, 60000);
	ck_assert_uint_eq(pool->greeting_retry_ms, 1000);
	ck_assert_uint_eq(pool->queue_timeout_ms, 30000);
	ck_assert_uint_eq(pool->rebalance_messages, 0);
	ck_assert_uint_eq(pool->rebalance_age_ms, 0);
	ck_assert_uint_eq(pool->line, 3);
	ck_assert_uint_eq(pool->backend_count, 1);
	ck_assert_str_eq(pool->backends[0].name, "relay1");
	ck_assert_uint_eq(pool->backends[0].port, 0);
	ck_assert_uint_eq(pool->backends[0].weight, 1);
	ck_assert_uint_eq(pool->backends[0].line, 3);

	const struct check_conf *check = &pool->check;
	ck_assert_int_eq(check->type, CHECK_HTTP);
	ck_assert_uint_eq(check->port, 80);
	ck_assert_str_eq(check->path, "/");
	ck_assert_str_eq(check->host, "");
	ck_assert_uint_eq(check->status_count, 1);
	ck_assert_uint_eq(check->status[0].first, 200);
	ck_assert_uint_eq(check->status[0].last, 200);
	ck_assert_uint_eq(check->interval_ms, 10000);
	ck_assert_uint_eq(check->timeout_ms, 5000);
	ck_assert_uint_eq(check->rise, 2);
	ck_assert_uint_eq(check->fall, 2);
	ck_assert_uint_eq(check->greeting_fall, 3);

	const struct listener_conf *listener = &snapshot->listeners[0];
	ck_assert_str_eq(listener->name, "smtp");
	ck_assert_ptr_eq(listener->pool, pool);
	ck_assert_ptr_eq(listener->acl, snapshot->acls[0]);
	ck_assert_int_eq(listener->on_deny, ON_DENY_421);
	ck_assert_uint_eq(listener->idle_timeout_ms, 660000);
	ck_assert_uint_eq(listener->bind_count, 1);
	ck_assert_uint_eq(listener->binds[0].endpoint.port, 25);
	ck_assert_uint_eq(listener->binds[0].line, 4);
	ck_assert_uint_eq(listener->limits.sessions, 0);
	ck_assert_uint_eq(listener->limits.sessions_per_client, 0);
	ck_assert_uint_eq(listener->limits.connects_per_client.count, 0);
	ck_assert_uint_eq(listener->limits.messages_per_client.count, 0);
	snapshot_unref(snapshot);
}
END_TEST

START_TEST(takes_how_a_pool_balances)
{
	static const char head[] = "acl a { allow = 203.0.113.0/24 } user = ''\n"
				   "listener l { bind = 0.0.0.0:25 acl = a pool = p }\n";
	static const struct {
		const char *pool;
		enum balance balance;
		const char *source;
		bool fail_open, backup;
		unsigned max_sessions;
	} given[] = {
		{"", BALANCE_ROUNDROBIN, "-", false, false, 0},
		{"balance = leastconn fail_open = yes", BALANCE_LEASTCONN, "-", true, false, 0},
		{"balance = source source_address = 10.0.0.5", BALANCE_SOURCE, "10.0.0.5", false,
			false, 0},
		{"source_address = ::ffff:10.0.0.5", BALANCE_ROUNDROBIN, "10.0.0.5", false, false,
			0},
		{"backend y { address = 10.0.0.2 max_sessions = 200 backup = yes }",
			BALANCE_ROUNDROBIN, "-", false, true, 200},
	};
	for (size_t i = 0; i < sizeof(given) / sizeof(*given); i++) {
		char text[512], address[ADDR_TEXT_MAX];
		snprintf(text, sizeof(text),
			"%spool p { proxy_protocol = v2 %s backend x { address = 10.0.0.1 } }\n",
			head, given[i].pool);
		struct snapshot *snapshot = load("given", text, 0);
		const struct pool_conf *pool = &snapshot->pools[0];
		ck_assert_int_eq(pool->balance, given[i].balance);
		ck_assert_str_eq(addr_format(&pool->source_address, address), given[i].source);
		ck_assert_int_eq(pool->fail_open, given[i].fail_open);
		ck_assert_int_eq(pool->backends[0].backup, given[i].backup);
		ck_assert_uint_eq(pool->backends[0].max_sessions, given[i].max_sessions);
		snapshot_unref(snapshot);
	}
}
END_TEST

START_TEST(takes_what_is_given)
{
	struct snapshot *snapshot = load("given",
		"hostname = [203.0.113.1] workers = 256 user = '' max_sessions = 5000\n"
		"drain_timeout = 0 log { level = debug }\n"
		"acl a { deny = 203.0.113.66  allow = { 203.0.113.0/24, 2001:db8::/32 } }\n"
		"acl b { open = yes }\n"
		"pool p { proxy_protocol = off backend x { address = 10.0.0.1 } }\n"
		"pool q { proxy_protocol = v1\n"
		"  connect_timeout = 1ms greeting_timeout = 2s greeting_budget = 3m\n"
		"  greeting_retry = 0s queue_timeout = 0 rebalance_messages = 9 rebalance_age = "
		"1d\n"
		"  health { type = none port = 8080 path = /up host = h status = { 200-299, 302 }\n"
		"    interval = 1m timeout = 999ms rise = 3 fall = 4 greeting_fall = 0 }\n"
		"  backend y {\n address = 2001:db8::1 port = 2525 weight = 256 }\n"
		"  backend x { address = 10.0.0.1 } }\n"
		"listener m { acl = b pool = q on_deny = drop idle_timeout = 2h\n"
		"  bind = { [::]:25,\n 10.0.0.1:587 } }\n"
		"listener n { acl = a pool = p on_deny = reset bind = 0.0.0.0:26\n"
		"  accept_proxy = { 10.9.0.0/24, '2001:db8:9::9' } proxy_timeout = 2s\n"
		"  limits { sessions = 100 sessions_per_client = 10\n"
		"    connects_per_client = 20/1m messages_per_client = '0/5m' } }\n",
		0);
	ck_assert_str_eq(snapshot->hostname, "[203.0.113.1]");
	ck_assert_uint_eq(snapshot->workers, 256);
	ck_assert_uint_eq(snapshot->max_sessions, 5000);
	ck_assert_uint_eq(snapshot->drain_timeout_ms, 0);
	ck_assert_int_eq(snapshot->log_level, LOG_LEVEL_DEBUG);
	ck_assert_str_eq(acl_name(snapshot->acls[0]), "a");
	ck_assert_uint_eq(acl_count(snapshot->acls[0]), 3);
	struct addr addr;
	addr_parse(&addr, "203.0.113.66");
	struct verdict verdict = acl_decide(snapshot->acls[0], &addr);
	ck_assert(!verdict.allowed && verdict.matched);
	ck_assert_str_eq(verdict.rule.file, "given");
	ck_assert_uint_eq(verdict.rule.line, 3);
	ck_assert(acl_decide(snapshot->acls[1], &addr).allowed);

	ck_assert_int_eq(snapshot->pools[0].proxy, PROXY_OFF);
	const struct pool_conf *pool = &snapshot->pools[1];
	ck_assert_int_eq(pool->proxy, PROXY_V1);
	ck_assert_uint_eq(pool->connect_timeout_ms, 1);
	ck_assert_uint_eq(pool->greeting_timeout_ms, 2000);
	ck_assert_uint_eq(pool->greeting_budget_ms, 180000);
	ck_assert_uint_eq(pool->greeting_retry_ms, 0);
	ck_assert_uint_eq(pool->queue_timeout_ms, 0);
	ck_assert_uint_eq(pool->rebalance_messages, 9);
	ck_assert_uint_eq(pool->rebalance_age_ms, 86400000);
	ck_assert_uint_eq(pool->line, 6);
	ck_assert_int_eq(pool->check.type, CHECK_NONE);
	ck_assert_uint_eq(pool->check.port, 8080);
	ck_assert_str_eq(pool->check.path, "/up");
	ck_assert_str_eq(pool->check.host, "h");
	ck_assert_uint_eq(pool->check.status_count, 2);
	ck_assert_uint_eq(pool->check.status[0].first, 200);
	ck_assert_uint_eq(pool->check.status[0].last, 299);
	ck_assert_uint_eq(pool->check.status[1].first, 302);
	ck_assert_uint_eq(pool->check.interval_ms, 60000);
	ck_assert_uint_eq(pool->check.timeout_ms, 999);
	ck_assert_uint_eq(pool->check.rise, 3);
	ck_assert_uint_eq(pool->check.fall, 4);
	ck_assert_uint_eq(pool->check.greeting_fall, 0);
	ck_assert_uint_eq(pool->backend_count, 2);
	ck_assert_str_eq(pool->backends[0].name, "y");
	ck_assert_int_eq(pool->backends[0].address.family, ADDR_V6);
	ck_assert_uint_eq(pool->backends[0].port, 2525);
	ck_assert_uint_eq(pool->backends[0].weight, 256);
	ck_assert_uint_eq(pool->backends[0].line, 11);
	ck_assert_uint_eq(pool->backends[1].line, 13);

	const struct listener_conf *listener = &snapshot->listeners[0];
	ck_assert_ptr_eq(listener->pool, pool);
	ck_assert_ptr_eq(listener->acl, snapshot->acls[1]);
	ck_assert_int_eq(listener->on_deny, ON_DENY_DROP);
	ck_assert_uint_eq(listener->idle_timeout_ms, 7200000);
	ck_assert_uint_eq(listener->bind_count, 2);
	ck_assert_int_eq(listener->binds[0].endpoint.addr.family, ADDR_V6);
	ck_assert_uint_eq(listener->binds[0].line, 15);
	ck_assert_uint_eq(listener->binds[1].line, 16);
	ck_assert_uint_eq(listener->binds[1].endpoint.port, 587);
	ck_assert_int_eq(snapshot->listeners[1].on_deny, ON_DENY_RESET);
	ck_assert_uint_eq(listener->accept_proxy_count, 0);
	ck_assert_uint_eq(listener->proxy_timeout_ms, 5000);
	listener = &snapshot->listeners[1];
	ck_assert_uint_eq(listener->accept_proxy_count, 2);
	ck_assert_uint_eq(listener->accept_proxy[0].len, 24);
	ck_assert_int_eq(listener->accept_proxy[1].addr.family, ADDR_V6);
	ck_assert_uint_eq(listener->accept_proxy[1].len, 128);
	ck_assert_uint_eq(listener->proxy_timeout_ms, 2000);
	ck_assert_uint_eq(listener->limits.sessions, 100);
	ck_assert_uint_eq(listener->limits.sessions_per_client, 10);
	ck_assert_uint_eq(listener->limits.connects_per_client.count, 20);
	ck_assert_uint_eq(listener->limits.connects_per_client.period_ms, 60000);
	ck_assert_uint_eq(listener->limits.messages_per_client.count, 0);
	snapshot_unref(snapshot);
}
END_TEST

START_TEST(refuses_an_empty_text)
{
	struct report report;
	report_init(&report);
	ck_assert_ptr_null(snapshot_parse("empty", "", 0, &report));
	ck_assert_uint_ge(report.errors, 1);
	const char *last = report.entries[report.count - 1].text;
	ck_assert_msg(strncmp(last, "empty: there is no listener", 27) == 0, "%s", last);
	report_fini(&report);
}
END_TEST

START_TEST(refuses_too_many_backends)
{
	char *text = NULL;
	size_t len = 0;
	FILE *stream = open_memstream(&text, &len);
	fprintf(stream, "%spool big { proxy_protocol = v2\n", rest);
	for (unsigned i = 0; i <= POOL_BACKENDS_MAX; i++)
		fprintf(stream, "backend b%u { address = 10.0.%u.%u }\n", i, i / 250, i % 250 + 1);
	fprintf(stream, "}\n");
	fclose(stream);
	struct report report;
	report_init(&report);
	ck_assert_ptr_null(snapshot_parse("big", text, len, &report));
	ck_assert_uint_eq(report.count, 1);
	ck_assert_ptr_nonnull(strstr(report.entries[0].text, "has 257 backends"));
	report_fini(&report);
	free(text);
}
END_TEST

/* Only root can drop to a user, so only for root must it exist. */
START_TEST(wants_the_user_as_root)
{
	char text[sizeof(rest) + 100];
	snprintf(text, sizeof(text), "user = no-such-user\n%s", strchr(rest, '\n') + 1);
	struct report report;
	report_init(&report);
	struct snapshot *snapshot = snapshot_parse("user", text, strlen(text), &report);
	ck_assert_int_eq(!snapshot, geteuid() == 0);
	if (!snapshot)
		ck_assert_msg(
			strncmp(report.entries[0].text, "user:1: `user = no-such-user`", 29) == 0,
			"%s", report.entries[0].text);
	snapshot_unref(snapshot);
	report_fini(&report);
}
END_TEST

/* An earlier error in the report is none of this file's. */
START_TEST(adds_to_a_report)
{
	struct report report;
	report_init(&report);
	report_error(&report, "other", 1, "an error");
	struct snapshot *snapshot = snapshot_parse("rest", rest, strlen(rest), &report);
	ck_assert_ptr_nonnull(snapshot);
	snapshot_unref(snapshot);
	report_fini(&report);
}
END_TEST

static void *
ref_and_unref(void *context)
{
	for (unsigned i = 0; i < 100000; i++)
		snapshot_unref(snapshot_ref(context));
	snapshot_unref(context);
	return NULL;
}

/* The last of them frees it, which a sanitizer would tell if it were another. */
START_TEST(counts_references_over_threads)
{
	struct snapshot *snapshot = load("rest", rest, 0);
	pthread_t threads[4];
	for (size_t i = 0; i < 4; i++)
		ck_assert_int_eq(
			pthread_create(&threads[i], NULL, ref_and_unref, snapshot_ref(snapshot)),
			0);
	snapshot_unref(snapshot);
	for (size_t i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	snapshot_unref(NULL);
}
END_TEST

/* The shipped examples. Their user need not exist where the tests run. */
static char *
read_example(const char *path)
{
	size_t len;
	char *text = text_read(path, &len);
	ck_assert_msg(text, "%s", path);
	return text;
}

START_TEST(minimal_example_loads)
{
	char *example = read_example("conf/minimal.conf"), *text;
	ck_assert_ptr_null(strstr(example, "\nuser"));
	ck_assert_int_gt(asprintf(&text, "user = \"\"\n%s", example), 0);
	struct snapshot *snapshot = load("minimal.conf", text, 0);
	ck_assert_uint_eq(snapshot->pools[0].backend_count, 2);
	ck_assert_uint_eq(snapshot->listeners[0].bind_count, 2);
	snapshot_unref(snapshot);
	free(text);
	free(example);
}
END_TEST

START_TEST(full_example_loads)
{
	char *text = read_example("conf/full.conf");
	char *user = strstr(text, "= smtplb ");
	ck_assert_ptr_nonnull(user);
	memcpy(user, "= \"\"     ", 9);
	snapshot_unref(load("full.conf", text, 0));
	free(text);
}
END_TEST

/* What full.conf sets to something else than its default: examples, and what is turned off. */
static const char *const examples[][2] = {
	{"hostname", "lb1.example.jp"},
	{"allow", "203.0.113.0/24"},
	{"deny", "203.0.113.66"},
	{"proxy_protocol", "v2"},
	{"port", NULL}, /* health's and a backend's */
	{"address", "10.0.1.11"},
	{"bind", "0.0.0.0:25"},
	{"acl", "senders"},
	{"pool", "relays"},
	{"accept_proxy", NULL}, /* empty lists */
	{"certificate", NULL},
	{"key", NULL},
};

static void
hold_default(const cfg_opt_t *opt, const char *text)
{
	for (size_t i = 0; i < sizeof(examples) / sizeof(examples[0]); i++) {
		if (strcmp(examples[i][0], opt->name) != 0)
			continue;
		if (examples[i][1])
			ck_assert_str_eq(text, examples[i][1]);
		return;
	}
	ck_assert_msg(opt->def.string, "%s has no default and is no example", opt->name);
	ck_assert_msg(strcmp(text, opt->def.string) == 0, "%s = %s is not the default %s",
		opt->name, text, opt->def.string);
}

/* Each line that gives a value has a comment. */
static void
hold_comment(const char *file, const char *key, unsigned line)
{
	for (unsigned i = 1; i < line; i++)
		file = strchr(file, '\n') + 1;
	ck_assert_msg(memchr(file, '#', strcspn(file, "\n")), "%s, line %u: no comment", key, line);
}

static unsigned
hold_section(cfg_t *section, const char *file)
{
	unsigned keys = 0;
	for (cfg_opt_t *opt = section->opts; opt->name; opt++) {
		if (grammar_is_mark(opt))
			continue;
		keys++;
		ck_assert_msg(opt->type == CFGT_SEC ? opt->nvalues > 0
						    : (opt->flags & CFGF_MODIFIED) != 0,
			"%s is not in full.conf", opt->name);
		if (opt->type == CFGT_SEC) {
			keys += hold_section(cfg_opt_getnsec(opt, 0), file);
		} else if (opt->nvalues) {
			const struct grammar_value *value = cfg_opt_getnptr(opt, 0);
			hold_default(opt, value->text);
			hold_comment(file, opt->name, value->line);
		}
	}
	return keys;
}

/* The other way round, what full.conf says is in the grammar, or it would not load. */
START_TEST(full_example_names_every_key)
{
	char *file = read_example("conf/full.conf"), *text = read_example("conf/full.conf");
	struct problem problem = {0};
	text_clean(text, strlen(text), &problem);
	cfg_t *top = grammar_parse(text, &problem);
	ck_assert_uint_eq(problem.line, 0);
	ck_assert_uint_gt(hold_section(top, file), 60);
	cfg_free(top);
	free(text);
	free(file);
}
END_TEST

static void
fill(TCase *tcase)
{
	tcase_add_test(tcase, fills_in_the_defaults);
	tcase_add_test(tcase, asks_for_the_user_as_root_only);
	tcase_add_loop_test(tcase, knows_the_checks, 0, 7);
	tcase_add_test(tcase, takes_how_a_pool_balances);
	tcase_add_test(tcase, takes_what_is_given);
	tcase_add_test(tcase, refuses_an_empty_text);
	tcase_add_test(tcase, refuses_too_many_backends);
	tcase_add_test(tcase, wants_the_user_as_root);
	tcase_add_test(tcase, adds_to_a_report);
	tcase_add_test(tcase, counts_references_over_threads);
	tcase_add_test(tcase, minimal_example_loads);
	tcase_add_test(tcase, full_example_loads);
	tcase_add_test(tcase, full_example_names_every_key);
}

UNIT_MAIN("conf_snapshot", fill)

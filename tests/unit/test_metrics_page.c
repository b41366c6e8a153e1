/*
 * The page for Prometheus: its text, its sums, and who is on it.
 */
#include "lb/admin/metrics_page.h"

#include "lb/admin/exposition.h"
#include "lb/metrics.h"
#include "lb/pool_state.h"
#include "lb/runtime.h"
#include "lb/tally.h"
#include "tests/unit/memory_faults.h"
#include "tests/unit/pool_fixture.h"
#include "tests/unit/unit.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <math.h>
#include <unistd.h>

enum {
	WORKERS = 3,
};

/* The text itself. */

static FILE *stream; /* instead of one in memory, once */
static bool stream_refused;

FILE *
open_memstream(char **text, size_t *len)
{
	static FILE *(*real)(char **, size_t *);
	FILE *given = stream;
	stream = NULL;
	if (given || stream_refused)
		return given;
	if (!real)
		*(void **)&real = dlsym(RTLD_NEXT, "open_memstream");
	return real(text, len);
}

static const struct {
	const char *value, *told;
} values[] = {
	{"relay1", "relay1"},
	{"", ""},
	{"a\"b", "a\\\"b"},
	{"a\\b", "a\\\\b"},
	{"a\nb", "a\\nb"},
	{"\\\"\n{}=, ", "\\\\\\\"\\n{}=, "},
	{"\xe8\xa8\xad", "\xe8\xa8\xad"},
};

START_TEST(a_label)
{
	struct exposition out;
	char expected[128];
	struct label labels[] = {{"first", values[_i].value}, {"second", "x"}, {NULL, NULL}};
	exposition_init(&out);
	exposition_number(&out, "name", "_sum", labels, UINT64_MAX);
	char *text = exposition_end(&out);
	snprintf(expected, sizeof(expected),
		"name_sum{first=\"%s\",second=\"x\"} 18446744073709551615\n", values[_i].told);
	ck_assert_str_eq(text, expected);
	free(text);
}
END_TEST

START_TEST(a_metric)
{
	struct exposition out;
	struct label none = {NULL, NULL};
	exposition_init(&out);
	exposition_head(&out, "name", "gauge", "What it is.");
	exposition_real(&out, "name", "", &none, 0.0005);
	exposition_real(&out, "name", "", &none, 1795915282.412);
	exposition_real(&out, "name", "", &none, NAN);
	exposition_real(&out, "name", "", &none, -NAN);
	char *text = exposition_end(&out);
	ck_assert_str_eq(text, "# HELP name What it is.\n# TYPE name gauge\nname 0.0005\n"
			       "name 1795915282.412\nname NaN\nname NaN\n");
	free(text);
}
END_TEST

static void
write_all(struct exposition *out)
{
	struct label none = {NULL, NULL};
	exposition_head(out, "name", "gauge", "What it is.");
	exposition_number(out, "name", "", &none, 1);
	exposition_real(out, "name", "", &none, 1);
}

START_TEST(no_memory_for_the_text)
{
	struct exposition out;
	stream_refused = true;
	exposition_init(&out);
	write_all(&out);
	ck_assert_ptr_null(exposition_end(&out));
	stream_refused = false;
	/* What fails while it is written, */
	stream = fopen("/dev/full", "w");
	setvbuf(stream, NULL, _IONBF, 0);
	exposition_init(&out);
	write_all(&out);
	ck_assert_ptr_null(exposition_end(&out));
	/* or at its end. */
	stream = fopen("/dev/full", "w");
	exposition_init(&out);
	write_all(&out);
	ck_assert_ptr_null(exposition_end(&out));
}
END_TEST

/* The process. */

START_TEST(this_process)
{
	struct process_figures figures;
	struct process *process = process_new("/proc/self");
	process_look(process, &figures);
	double fds = figures.open_fds;
	ck_assert_double_ge(fds, 5);
	ck_assert_double_gt(figures.resident_bytes, 65536);
	ck_assert_double_gt(figures.virtual_bytes, figures.resident_bytes);
	ck_assert_double_ge(figures.cpu_s, 0);
	ck_assert_double_gt(figures.start_s, 1.7e9);
	ck_assert_double_ge(figures.max_fds, fds);
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	process_look(process, &figures);
	ck_assert_double_eq(figures.open_fds, fds + 1);
	close(fd);
	process_look(process, &figures);
	ck_assert_double_eq(figures.open_fds, fds);
	process_free(process);
}
END_TEST

START_TEST(a_process_of_which_nothing_is_known)
{
	char folder[] = "/tmp/smtplb-test-XXXXXX", path[64];
	struct process_figures figures;
	ck_assert_ptr_nonnull(mkdtemp(folder));
	for (int i = 0; i < 2; i++) {
		struct process *process = process_new(folder);
		process_look(process, &figures);
		ck_assert_double_nan(figures.open_fds);
		ck_assert_double_nan(figures.resident_bytes);
		ck_assert_double_nan(figures.virtual_bytes);
		ck_assert_double_gt(figures.max_fds, 0);
		process_free(process);
		/* Then there is a file, and nothing in it. */
		snprintf(path, sizeof(path), "%s/statm", folder);
		close(open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
	}
	unlink(path);
	rmdir(folder);
	process_free(NULL);
	memory_refused = 1;
	ck_assert_ptr_null(process_new(folder));
}
END_TEST

/* The page. */

static char smtp_name[] = "smtp", submission_name[] = "submission";

struct site {
	struct fixture fixture;
	struct listener_conf listeners[2];
	struct tally *tallies[2];
	struct pool *pool;
	struct runtime runtime;
	struct serving serving;
	struct process *process;
};

static void
open_site(struct site *site)
{
	memset(site, 0, sizeof(*site));
	site->pool = begin(&site->fixture, 2, NULL);
	site->listeners[0].name = smtp_name;
	site->listeners[1].name = submission_name;
	for (int i = 0; i < 2; i++)
		site->tallies[i] = tally_new(sizeof(struct listener_counts), WORKERS);
	site->fixture.snapshot.listeners = site->listeners;
	site->fixture.snapshot.listener_count = 2;
	site->runtime.snapshot = &site->fixture.snapshot;
	site->runtime.pools = &site->pool;
	site->runtime.tallies = site->tallies;
	site->serving.shared.engine = &engine_libev;
	site->serving.runtime = &site->runtime;
	site->process = process_new("/proc/self");
}

static void
close_site(struct site *site)
{
	process_free(site->process);
	for (int i = 0; i < 2; i++)
		tally_unref(site->tallies[i]);
	pool_set_free(site->fixture.set);
}

static struct listener_counts *
listener_block(const struct site *site, size_t listener, unsigned worker)
{
	return tally_block(site->tallies[listener], worker);
}

/* Whether the page has this line. */
static bool
has_line(const char *page, const char *line)
{
	size_t len = strlen(line);
	for (const char *at = page; (at = strstr(at, line)); at++) {
		if ((at == page || at[-1] == '\n') && at[len] == '\n')
			return true;
	}
	return false;
}

static void
check_lines(struct site *site, const char *const *lines)
{
	char *page = metrics_page(&site->serving, site->process);
	ck_assert_ptr_nonnull(page);
	for (; *lines; lines++)
		ck_assert_msg(has_line(page, *lines), "no %s in:\n%s", *lines, page);
	free(page);
}

START_TEST(sums_over_workers)
{
	struct site site;
	open_site(&site);
	for (unsigned i = 0; i < WORKERS; i++) {
		struct listener_counts *counts = listener_block(&site, 0, i);
		tally_add(&counts->active, i);
		tally_add(&counts->sessions[RESULT_NO_BACKEND], 1);
		tally_add(&counts->denied[DENIAL_CONNECTS], i + 1);
		tally_add(&counts->bytes[DIRECTION_OUT], UINT64_C(1) << 40);
	}
	check_lines(&site,
		(const char *const[]){
			"smtplb_sessions_active{listener=\"smtp\"} 3",
			"smtplb_sessions_active{listener=\"submission\"} 0",
			"smtplb_sessions_total{listener=\"smtp\",result=\"no_backend\"} 3",
			"smtplb_sessions_total{listener=\"submission\",result=\"no_backend\"} 0",
			"smtplb_denied_total{listener=\"smtp\",reason=\"connects\"} 6",
			"smtplb_denied_total{listener=\"smtp\",reason=\"acl\"} 0",
			"smtplb_bytes_total{listener=\"smtp\",direction=\"out\"} 3298534883328",
			"smtplb_bytes_total{listener=\"smtp\",direction=\"in\"} 0",
			NULL,
		});
	close_site(&site);
}
END_TEST

#define RELAY1 "{pool=\"relays\",backend=\"relay1\""

START_TEST(what_is_told_of_a_backend)
{
	struct site site;
	struct pick pick;
	struct claim claim = {.client = 0};
	uint64_t again_ms;
	open_site(&site);
	ck_assert_int_eq(pool_order(site.pool, "relay0", ADMIN_DRAIN, 1000), 0);
	ck_assert_int_eq(pool_pick(site.pool, &claim, &pick, &again_ms), PICK_DONE);
	struct backend_counts *counts = tally_block(pick.backend->tally, 0);
	tally_add(&counts->sessions, 4);
	tally_add(&counts->failures[CAUSE_REFUSED], 5);
	tally_add(&counts->messages[OUTCOME_DEFERRED], 6);
	backend_counts_reply(counts, VERB_DOT, 451);
	pool_count_probe(site.pool, "relay1", false);
	check_lines(&site,
		(const char *const[]){
			"smtplb_backend_up" RELAY1 "} 1",
			"smtplb_backend_admin_state{pool=\"relays\",backend=\"relay0\",state="
			"\"drain\"} 1",
			"smtplb_backend_admin_state{pool=\"relays\",backend=\"relay0\",state="
			"\"ready\"} 0",
			"smtplb_backend_admin_state" RELAY1 ",state=\"ready\"} 1",
			"smtplb_backend_admin_state" RELAY1 ",state=\"drain\"} 0",
			"smtplb_backend_admin_state" RELAY1 ",state=\"maint\"} 0",
			"smtplb_backend_sessions_active" RELAY1 "} 1",
			"smtplb_backend_sessions_total" RELAY1 "} 4",
			"smtplb_backend_failures_total" RELAY1 ",cause=\"refused\"} 5",
			"smtplb_messages_total" RELAY1 ",outcome=\"deferred\"} 6",
			"smtplb_backend_replies_total" RELAY1 ",verb=\"DOT\",class=\"4\"} 1",
			"smtplb_backend_replies_total" RELAY1 ",verb=\"DOT\",class=\"2\"} 0",
			"smtplb_probes_total" RELAY1 ",outcome=\"fail\"} 1",
			"smtplb_queue_length{pool=\"relays\"} 0",
			NULL,
		});
	pool_release(pick.backend);
	close_site(&site);
}
END_TEST

/* There only while they last, with the reply of when they began. */
START_TEST(troubles)
{
	struct site site;
	open_site(&site);
	char *page = metrics_page(&site.serving, site.process);
	ck_assert_ptr_null(strstr(page, "smtplb_backend_trouble{"));
	free(page);
	struct trouble *of = pool_find(site.pool, "relay1", NULL)->troubles;
	of[STAGE_GREETING].lasts = of[STAGE_DOT].lasts = true;
	of[STAGE_GREETING].reply = (struct reply_status){.code = 421};
	of[STAGE_DOT].reply = (struct reply_status){452, 3, 1, 4};
	check_lines(&site,
		(const char *const[]){
			"smtplb_backend_trouble" RELAY1 ",verb=\"GREETING\",reply=\"421\"} 1",
			"smtplb_backend_trouble" RELAY1 ",verb=\"DOT\",reply=\"452 4.3.1\"} 1",
			NULL,
		});
	page = metrics_page(&site.serving, site.process);
	ck_assert_ptr_null(strstr(page, "verb=\"RCPT\",reply="));
	free(page);
	close_site(&site);
}
END_TEST

START_TEST(a_histogram_adds_up)
{
	struct site site;
	open_site(&site);
	const struct backend *backend = pool_find(site.pool, "relay1", NULL);
	for (unsigned i = 0; i < 2; i++) {
		struct backend_counts *counts = tally_block(backend->tally, i);
		durations_add(&counts->greeting, 400);
		durations_add(&counts->greeting, 2000);
		durations_add(&counts->greeting, UINT64_C(31000000));
	}
	check_lines(&site, (const char *const[]){
				   "# TYPE smtplb_greeting_seconds histogram",
				   "smtplb_greeting_seconds_bucket" RELAY1 ",le=\"0.0005\"} 2",
				   "smtplb_greeting_seconds_bucket" RELAY1 ",le=\"0.001\"} 2",
				   "smtplb_greeting_seconds_bucket" RELAY1 ",le=\"0.0025\"} 4",
				   "smtplb_greeting_seconds_bucket" RELAY1 ",le=\"30\"} 4",
				   "smtplb_greeting_seconds_bucket" RELAY1 ",le=\"+Inf\"} 6",
				   "smtplb_greeting_seconds_count" RELAY1 "} 6",
				   "smtplb_greeting_seconds_sum" RELAY1 "} 62.0048",
				   "smtplb_connect_seconds_count" RELAY1 "} 0",
				   NULL,
			   });
	close_site(&site);
}
END_TEST

START_TEST(what_is_told_of_loads)
{
	struct site site;
	open_site(&site);
	site.serving.changed_ms = 1795915282412;
	site.serving.refused = true;
	check_lines(&site,
		(const char *const[]){
			"smtplb_config_reload_success 0",
			"smtplb_config_reload_timestamp_seconds 1795915282.412",
			"smtplb_build_info{version=\"" SMTPLB_VERSION "\",engine=\"libev\"} 1",
			"smtplb_log_dropped_total 0",
			NULL,
		});
	site.serving.refused = false;
	check_lines(&site, (const char *const[]){"smtplb_config_reload_success 1", NULL});
	close_site(&site);
}
END_TEST

/* Who is in the configuration has all its series from the start; who is not has none. */
START_TEST(series_come_and_go_with_the_configuration)
{
	struct site site;
	open_site(&site);
	char *before = metrics_page(&site.serving, site.process);
	ck_assert_ptr_nonnull(strstr(before, "submission"));
	ck_assert_ptr_nonnull(strstr(before, "relay1"));
	ck_assert_ptr_null(strstr(before, "result=\"denied\""));
	site.fixture.snapshot.listener_count = 1;
	site.fixture.conf.backend_count = 1;
	apply(&site.fixture);
	char *after = metrics_page(&site.serving, site.process);
	ck_assert_ptr_null(strstr(after, "submission"));
	ck_assert_ptr_null(strstr(after, "relay1"));
	ck_assert_ptr_nonnull(strstr(after, "relay0"));
	free(before);
	free(after);
	close_site(&site);
}
END_TEST

START_TEST(no_memory_for_a_page)
{
	struct site site;
	open_site(&site);
	unsigned refused = 0;
	char *page = NULL;
	while (!page) {
		memory_refused = ++refused;
		page = metrics_page(&site.serving, site.process);
	}
	ck_assert_uint_gt(refused, 4);
	free(page);
	memory_refused = 0;
	close_site(&site);
}
END_TEST

static void
fill(TCase *cases)
{
	tcase_add_loop_test(cases, a_label, 0, sizeof(values) / sizeof(values[0]));
	tcase_add_test(cases, a_metric);
	tcase_add_test(cases, no_memory_for_the_text);
	tcase_add_test(cases, this_process);
	tcase_add_test(cases, a_process_of_which_nothing_is_known);
	tcase_add_test(cases, sums_over_workers);
	tcase_add_test(cases, what_is_told_of_a_backend);
	tcase_add_test(cases, troubles);
	tcase_add_test(cases, a_histogram_adds_up);
	tcase_add_test(cases, what_is_told_of_loads);
	tcase_add_test(cases, series_come_and_go_with_the_configuration);
	tcase_add_test(cases, no_memory_for_a_page);
}

UNIT_MAIN("metrics_page", fill)

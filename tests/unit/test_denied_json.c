/*
 * From a denied session to the JSON about its source: counted by the worker, looked up in the
 * databases, held against the configuration that is served.
 */
#include "lb/admin/denied.h"

#include "lb/denials.h"
#include "lb/denied.h"
#include "lb/log.h"
#include "lb/runtime.h"
#include "lb/session.h"
#include "lb/wall.h"
#include "tests/unit/unit.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum {
	WORKERS = 2,
	TEXT_MAX = 4096,
};

static const uint64_t LAST_MS = 1700000000123;
#define LAST "2023-11-14T22:13:20.123Z"

/* Its databases are the tests' own: %s is the folder. */
static const char geo_conf[] =
	"geoip { country = \"%s/country.mmdb\"  asn = \"%s/asn.mmdb\" }\n"
	"acl world { open = yes  deny = { country:KR, asn:64501 } }\n"
	"listener world { bind = 127.0.0.1:25  acl = world  pool = relays }\n";
static const char plain_conf[] =
	"acl few {\n"
	"    allow = { 192.0.2.0/24,\n"
	"        198.51.100.0/24 }\n"
	"    deny = { 198.51.100.66 }\n"
	"}\n"
	"listener smtp { bind = 127.0.0.1:26  acl = few  pool = relays }\n"
	"pool relays { proxy_protocol = v2  backend one { address = 127.0.0.1 } }\n"
	"user = \"\"\n";

struct fixture {
	struct serving serving;
	struct worker *workers[WORKERS];
	struct runtime runtime;
};

static void
begin(struct fixture *fixture, const char *file, bool has_geo)
{
	char folder[TEXT_MAX / 4], text[TEXT_MAX];
	struct report report;
	size_t len = 0;
	*fixture = (struct fixture){
		.serving = {.worker_count = WORKERS, .shared.engine = &engine_libev}};
	ck_assert_ptr_nonnull(getcwd(folder, sizeof(folder) / 2));
	strcat(folder, "/tests/unit/data/mmdb");
	/* The plain part comes first, so that its lines are known. */
	len += (size_t)snprintf(text, sizeof(text), "%s", plain_conf);
	if (has_geo)
		len += (size_t)snprintf(text + len, sizeof(text) - len, geo_conf, folder, folder);
	report_init(&report);
	fixture->runtime.snapshot = snapshot_parse(file, text, len, &report);
	ck_assert_msg(fixture->runtime.snapshot, "%s", report.count ? report.entries[0].text : "");
	report_fini(&report);
	for (unsigned i = 0; i < WORKERS; i++) {
		fixture->workers[i] = worker_new(&fixture->serving.shared, i);
		ck_assert_ptr_nonnull(fixture->workers[i]);
	}
	fixture->serving.workers = fixture->workers;
	fixture->serving.runtime = &fixture->runtime;
}

static void
end(struct fixture *fixture)
{
	for (unsigned i = 0; i < WORKERS; i++)
		worker_free(fixture->workers[i]);
	snapshot_unref(fixture->runtime.snapshot);
}

static void
deny(struct fixture *fixture, unsigned worker, const char *listener, const char *source)
{
	struct addr addr;
	ck_assert_int_eq(addr_parse(&addr, source), 0);
	denied_add(worker_denied(fixture->workers[worker]), listener, &addr, LAST_MS);
}

static void
expect_json(const struct fixture *fixture, size_t rows, const char *expected)
{
	json_t *json = denied_json(&fixture->serving, rows);
	char *text = json_dumps(json, JSON_COMPACT);
	ck_assert_str_eq(text, expected);
	free(text);
	json_decref(json);
}

static const struct {
	bool has_geo;
	const char *listener, *source, *rest; /* of the JSON, from the network on */
} rows[] = {
	{false, "smtp", "203.0.113.7",
		"\"network\":\"203.0.113.7\",\"address\":\"203.0.113.7\",\"country\":null,"
		"\"asn\":null,\"rule\":\"default\",\"fix\":\"conf:2 add 203.0.113.7 to allow\""},
	{false, "smtp", "2001:db8:1:2::5",
		"\"network\":\"2001:db8:1:2::/64\",\"address\":\"2001:db8:1:2::5\","
		"\"country\":null,\"asn\":null,\"rule\":\"default\","
		"\"fix\":\"conf:2 add 2001:db8:1:2::/64 to allow\""},
	{false, "smtp", "198.51.100.66",
		"\"network\":\"198.51.100.66\",\"address\":\"198.51.100.66\",\"country\":null,"
		"\"asn\":null,\"rule\":\"conf:4 deny 198.51.100.66/32\","
		"\"fix\":\"conf:4 remove deny 198.51.100.66/32\""},
	/* Let in since then. */
	{false, "smtp", "198.51.100.65",
		"\"network\":\"198.51.100.65\",\"address\":\"198.51.100.65\",\"country\":null,"
		"\"asn\":null,\"rule\":\"conf:3 allow 198.51.100.0/24\",\"fix\":null"},
	/* A listener that is no more. */
	{false, "gone", "203.0.113.7",
		"\"network\":\"203.0.113.7\",\"address\":\"203.0.113.7\",\"country\":null,"
		"\"asn\":null,\"rule\":null,\"fix\":null"},
	{true, "world", "45.1.2.3",
		"\"network\":\"45.1.2.3\",\"address\":\"45.1.2.3\",\"country\":\"KR\","
		"\"asn\":64498,\"rule\":\"conf:10 deny country:KR\","
		"\"fix\":\"conf:10 add 45.1.2.3 to allow\""},
	{true, "smtp", "45.16.2.3",
		"\"network\":\"45.16.2.3\",\"address\":\"45.16.2.3\",\"country\":\"KR\","
		"\"asn\":64501,\"rule\":\"default\","
		"\"fix\":\"conf:2 add 45.16.2.3 to allow\""},
	{true, "smtp", "203.0.113.7",
		"\"network\":\"203.0.113.7\",\"address\":\"203.0.113.7\",\"country\":\"JP\","
		"\"asn\":64500,\"rule\":\"default\",\"fix\":\"conf:2 add 203.0.113.7 to allow\""},
	/* The databases say nothing. */
	{true, "smtp", "192.168.0.1",
		"\"network\":\"192.168.0.1\",\"address\":\"192.168.0.1\",\"country\":null,"
		"\"asn\":null,\"rule\":\"default\",\"fix\":\"conf:2 add 192.168.0.1 to allow\""},
};

START_TEST(what_is_known_of_a_source)
{
	struct fixture fixture;
	char expected[TEXT_MAX];
	begin(&fixture, "conf", rows[_i].has_geo);
	for (unsigned i = 0; i < WORKERS; i++)
		deny(&fixture, i, rows[_i].listener, rows[_i].source);
	snprintf(expected, sizeof(expected),
		"{\"denied\":[{\"count\":2,\"at_least\":2,\"last\":\"" LAST
		"\",\"listener\":\"%s\",%s}]}",
		rows[_i].listener, rows[_i].rest);
	expect_json(&fixture, 10, expected);
	end(&fixture);
}
END_TEST

START_TEST(nobody_was_denied)
{
	struct fixture fixture;
	begin(&fixture, "conf", false);
	expect_json(&fixture, 10, "{\"denied\":[]}");
	end(&fixture);
}
END_TEST

START_TEST(as_many_rows_as_wanted)
{
	struct fixture fixture;
	begin(&fixture, "conf", false);
	deny(&fixture, 0, "smtp", "203.0.113.1");
	deny(&fixture, 0, "smtp", "203.0.113.2");
	deny(&fixture, 1, "smtp", "203.0.113.2");
	deny(&fixture, 1, "smtp", "203.0.113.3");
	for (size_t max = 0; max < 5; max++) {
		json_t *json = denied_json(&fixture.serving, max);
		const json_t *array = json_object_get(json, "denied");
		ck_assert_uint_eq(json_array_size(array), max < 3 ? max : 3);
		if (max)
			ck_assert_str_eq(json_string_value(json_object_get(
						 json_array_get(array, 0), "address")),
				"203.0.113.2");
		json_decref(json);
	}
	end(&fixture);
}
END_TEST

/* Any bytes may be in a path: what is not UTF-8 is told byte by byte. */
static const struct {
	const char *file, *told;
} files[] = {
	{"\xe8\xa8\xad\xe5\xae\x9a", "\xe8\xa8\xad\xe5\xae\x9a:2 add 203.0.113.7 to allow"},
	{"\xff\x80 a", "\xc3\xbf\xc2\x80 a:2 add 203.0.113.7 to allow"},
};

START_TEST(a_path_of_any_bytes)
{
	struct fixture fixture;
	begin(&fixture, files[_i].file, false);
	deny(&fixture, 0, "smtp", "203.0.113.7");
	json_t *json = denied_json(&fixture.serving, 1);
	const json_t *row = json_array_get(json_object_get(json, "denied"), 0);
	ck_assert_str_eq(json_string_value(json_object_get(row, "fix")), files[_i].told);
	json_decref(json);
	end(&fixture);
}
END_TEST

/* Past the lines that the log takes too. */
START_TEST(every_denied_session_is_counted)
{
	enum {
		TIMES = 100,
	};
	struct fixture fixture;
	struct session session = {0};
	begin(&fixture, "conf", false);
	session.listener = &fixture.runtime.snapshot->listeners[0];
	ck_assert_int_eq(endpoint_parse(&session.source, "203.0.113.7:1234"), 0);
	struct verdict verdict = acl_decide(session.listener->acl, &session.source.addr);
	log_set_level(LOG_LEVEL_ERROR);
	uint64_t before = wall_ms();
	for (unsigned i = 0; i < TIMES; i++)
		denials_add(worker_denials(fixture.workers[0]), &session, &verdict);
	struct denied *denied = worker_denied(fixture.workers[0]);
	size_t count;
	struct denied_source *sources = denied_read(&denied, 1, 10, &count);
	ck_assert_uint_eq(count, 1);
	ck_assert_uint_eq(sources[0].at_least, TIMES);
	ck_assert_str_eq(sources[0].listener, "smtp");
	ck_assert(addr_equal(&sources[0].address, &session.source.addr));
	ck_assert_uint_ge(sources[0].last_ms, before);
	ck_assert_uint_le(sources[0].last_ms, wall_ms());
	free(sources);
	denials_stop(worker_denials(fixture.workers[0]));
	end(&fixture);
}
END_TEST

static void
fill(TCase *cases)
{
	tcase_add_loop_test(cases, what_is_known_of_a_source, 0, sizeof(rows) / sizeof(rows[0]));
	tcase_add_test(cases, nobody_was_denied);
	tcase_add_test(cases, as_many_rows_as_wanted);
	tcase_add_loop_test(cases, a_path_of_any_bytes, 0, sizeof(files) / sizeof(files[0]));
	tcase_add_test(cases, every_denied_session_is_counted);
}

UNIT_MAIN("denied_json", fill)

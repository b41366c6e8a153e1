/*
 * What the kinds of check share: at which port a backend is checked, and whether mail goes there.
 */
#include "tests/unit/unit.h"

#include "health/check.h"

#include <string.h>

static const struct {
	uint16_t check_port, backend_port;
	uint16_t listened; /* by the pool's listener, behind port 587; 0 = it has none */
	uint16_t port;
	bool mail;
} rows[] = {
	{0, 0, 0, 25, true},
	{0, 2525, 0, 2525, true},
	{0, 0, 587, 25, true},
	{2525, 2525, 0, 2525, true},
	{80, 25, 80, 80, false},
	{25, 0, 0, 25, false},
	{25, 0, 25, 25, true},
	{587, 0, 25, 587, true},
	{80, 0, 25, 80, false},
};

START_TEST(ports)
{
	struct pool_conf pools[2] = {{.name = "relays"}, {.name = "others"}};
	struct backend_conf backend = {.port = rows[_i].backend_port};
	struct bind_conf own[] = {{.endpoint.port = 587}, {.endpoint.port = rows[_i].listened}};
	struct bind_conf foreign[] = {{.endpoint.port = rows[_i].check_port}};
	struct listener_conf listeners[] = {
		{.pool = &pools[1], .binds = foreign, .bind_count = 1},
		{.pool = &pools[0], .binds = own, .bind_count = 2},
	};
	struct snapshot snapshot = {
		.listeners = listeners, .listener_count = rows[_i].listened ? 2 : 1};
	pools[0].check.port = rows[_i].check_port;
	ck_assert_uint_eq(check_port(&pools[0], &backend), rows[_i].port);
	ck_assert(check_is_at_mail_port(&snapshot, &pools[0], &backend) == rows[_i].mail);
}
END_TEST

/* Each cause begins the detail of a health event. */
START_TEST(names)
{
	static const char *const words[] = {
		[PROBE_OK] = "ok",
		[PROBE_STATUS] = "status",
		[PROBE_REFUSED] = "refused",
		[PROBE_RESET] = "reset",
		[PROBE_CLOSED] = "closed",
		[PROBE_TIMEOUT] = "timeout",
		[PROBE_MALFORMED] = "malformed",
		[PROBE_REPLY] = "reply",
		[PROBE_TLS] = "tls",
		[PROBE_RESOURCES] = "resources",
	};
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		ck_assert_str_eq(probe_cause_name((enum probe_cause)i), words[i]);
}
END_TEST

static void
fill(TCase *cases)
{
	tcase_add_loop_test(cases, ports, 0, sizeof(rows) / sizeof(rows[0]));
	tcase_add_test(cases, names);
}

UNIT_MAIN("check", fill)

/*
 * What the kinds of check share: at which port a backend is checked, whether mail goes there, and
 * by which name it is called under TLS; and an SMTP check that asks for it, piece by piece.
 */
#include "tests/unit/unit.h"

#include "conf/trust.h"
#include "health/check.h"

#include <openssl/x509_vfy.h>
#include <stdio.h>
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

/* What a Host header says of the server: its name, or its address. */
static const struct {
	const char *host, *name, *address;
} hosts[] = {
	{"relay.test", "relay.test", NULL},
	{"relay.test:8443", "relay.test", NULL},
	{"192.0.2.1:8443", NULL, "192.0.2.1"},
	{"[2001:db8::1]", NULL, "2001:DB8:0:0:0:0:0:1"},
	{"[2001:db8::1]:8443", NULL, "2001:DB8:0:0:0:0:0:1"},
	{"2001:db8::1", NULL, "2001:DB8:0:0:0:0:0:1"},
	{"", NULL, "192.0.2.7"},
};

START_TEST(names_under_tls)
{
	const char *why;
	char host[64];
	struct endpoint server;
	struct trust *trust = trust_new(false, "", &why);
	snprintf(host, sizeof(host), "%s", hosts[_i].host);
	struct pool_conf pool = {.check = {.type = CHECK_HTTPS, .host = host, .trust = trust}};
	server.port = 443;
	ck_assert_int_eq(addr_parse(&server.addr, "192.0.2.7"), 0);
	SSL *ssl = check_open_tls(&pool, &server);
	ck_assert_ptr_nonnull(ssl);
	ck_assert_pstr_eq(SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name), hosts[_i].name);
	char *address = X509_VERIFY_PARAM_get1_ip_asc(SSL_get0_param(ssl));
	ck_assert_pstr_eq(address, hosts[_i].address);
	OPENSSL_free(address);
	SSL_free(ssl);
	trust_free(trust);
}
END_TEST

static const struct {
	const char *piece;
	enum check_step step;
	const char *words; /* that are said then; NULL = none */
} dialogue[] = {
	{"220 relay\r\n", CHECK_SAYS, "EHLO lb.test\r\n"},
	{"250-relay\r\n250-", CHECK_GOES_ON, NULL},
	{"STARTTLS\r\n250 SIZE\r\n", CHECK_SAYS, "STARTTLS\r\n"},
	{"220", CHECK_GOES_ON, NULL},
	{" go\r\n", CHECK_SECURES, NULL},
};

START_TEST(starttls_in_pieces)
{
	const struct check_conf conf = {.type = CHECK_SMTP};
	const struct check_scene scene = {
		.proxy = PROXY_OFF, .tls = TLS_STARTTLS, .hostname = "lb.test"};
	struct check check;
	check_init(&check, &conf);
	ck_assert_int_eq(check.kind->begin(&check, &scene), 0);
	for (size_t i = 0; i < sizeof(dialogue) / sizeof(dialogue[0]); i++) {
		const char *piece = dialogue[i].piece;
		ck_assert_int_eq(check.kind->feed(&check, (const uint8_t *)piece, strlen(piece)),
			dialogue[i].step);
		if (dialogue[i].words)
			ck_assert_str_eq(check.words, dialogue[i].words);
	}
	check_fini(&check);
}
END_TEST

static void
fill(TCase *cases)
{
	tcase_add_loop_test(cases, ports, 0, sizeof(rows) / sizeof(rows[0]));
	tcase_add_test(cases, names);
	tcase_add_loop_test(cases, names_under_tls, 0, sizeof(hosts) / sizeof(hosts[0]));
	tcase_add_test(cases, starttls_in_pieces);
}

UNIT_MAIN("check", fill)

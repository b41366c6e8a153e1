/*
 * Names of cipher suites: every one that a context of ours may agree on has its own, OpenSSL's.
 */
#include "conf/profile.h"

#include "acl/mem.h"
#include "tests/unit/openssl_faults.h"
#include "tests/unit/unit.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

START_TEST(every_suite_has_its_name)
{
	SSL_CTX *context = profile_context(TLS_server_method());
	ck_assert_ptr_nonnull(context);
	const STACK_OF(SSL_CIPHER) *all = SSL_CTX_get_ciphers(context);
	ck_assert_int_eq(sk_SSL_CIPHER_num(all), 12);
	for (int i = 0; i < sk_SSL_CIPHER_num(all); i++) {
		const SSL_CIPHER *one = sk_SSL_CIPHER_value(all, i);
		uint16_t number = SSL_CIPHER_get_protocol_id(one);
		ck_assert_str_eq(profile_cipher_name(number), SSL_CIPHER_get_name(one));
		bool is_new = strcmp(SSL_CIPHER_get_version(one), "TLSv1.3") == 0;
		char text[PROFILE_TEXT_MAX], wanted[PROFILE_TEXT_MAX];
		snprintf(wanted, sizeof(wanted), "%s/%s", is_new ? "TLSv1.3" : "TLSv1.2",
			SSL_CIPHER_get_name(one));
		ck_assert_str_eq(profile_format(number, text), wanted);
		ck_assert_str_eq(profile_version_name(number), is_new ? "TLSv1.3" : "TLSv1.2");
	}
	SSL_CTX_free(context);
	ck_assert_str_eq(profile_cipher_name(0), "?");
}
END_TEST

START_TEST(reasons)
{
	ck_assert_str_eq(profile_why(), "OpenSSL does not say why");
	ck_assert_ptr_null(profile_unreadable("/dev/null"));
	ck_assert_str_eq(profile_unreadable("/nowhere"), "No such file or directory");
}
END_TEST

START_TEST(memory_is_refused)
{
	openssl_count();
	/* What OpenSSL makes but once, it does not try again to. */
	SSL_CTX *context = profile_context(TLS_client_method());
	for (unsigned call = 1; openssl_refused == 0; call++) {
		SSL_CTX_free(context);
		openssl_refused = call;
		context = profile_context(TLS_client_method());
	}
	ck_assert_ptr_nonnull(context);
	SSL_CTX_free(context);
}
END_TEST

/* Nothing is left, which is no want of memory. */
START_TEST(nothing_wanted)
{
	ck_assert_int_eq(mem_load_begin(), 0);
	profile_init();
	void *block = OPENSSL_malloc(1);
	ck_assert_ptr_nonnull(block);
	ck_assert_ptr_null(OPENSSL_realloc(block, 0));
	ck_assert_int_eq(mem_load_end(), 0);
}
END_TEST

static void
fill(TCase *tests)
{
	tcase_add_test(tests, every_suite_has_its_name);
	tcase_add_test(tests, reasons);
	tcase_add_test(tests, memory_is_refused);
	tcase_add_test(tests, nothing_wanted);
}

UNIT_MAIN("profile", fill)

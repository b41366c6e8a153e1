/*
 * Names of cipher suites: every one that a context of ours may agree on has its own, OpenSSL's.
 */
#include "conf/profile.h"

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

/* Nothing is left, which is no want of memory: that would abort. */
START_TEST(nothing_wanted)
{
	profile_init();
	void *block = OPENSSL_malloc(1);
	ck_assert_ptr_nonnull(block);
	ck_assert_ptr_null(OPENSSL_realloc(block, 0));
}
END_TEST

static void
fill(TCase *tests)
{
	tcase_add_test(tests, every_suite_has_its_name);
	tcase_add_test(tests, reasons);
	tcase_add_test(tests, nothing_wanted);
}

UNIT_MAIN("profile", fill)

/*
 * Pairs of a certificate and a key: which are taken, and why others are not.
 */
#include "conf/certificates.h"

#include "tests/unit/certificate.h"
#include "tests/unit/unit.h"

#include <stdbool.h>
#include <string.h>
#include <unistd.h>

enum key_kind {
	KEY_ITS_OWN,
	KEY_ANOTHER, /* of the same type */
	KEY_RSA,
	KEY_EMPTY,
	KEY_MISSING,
};

static const struct {
	long from_days, to_days;
	bool from_is_text, to_is_text; /* where a date should be */
	enum key_kind key;
	bool is_key;     /* that is blamed */
	const char *why; /* NULL = it is taken */
} pairs[] = {
	{-1, 1, false, false, KEY_ITS_OWN, false, NULL},
	{-2, -1, false, false, KEY_ITS_OWN, false, "the certificate has expired"},
	{1, 2, false, false, KEY_ITS_OWN, false, "the certificate is not valid yet"},
	{-1, 1, true, false, KEY_ITS_OWN, false, "the certificate's dates can't be read"},
	{-1, 1, false, true, KEY_ITS_OWN, false, "the certificate's dates can't be read"},
	{-1, 1, false, false, KEY_ANOTHER, true, "it is not the key of "},
	{-1, 1, false, false, KEY_RSA, true, "it is not the key of "},
	{-1, 1, false, false, KEY_EMPTY, true, "unsupported"},
	{-1, 1, false, false, KEY_MISSING, true, "No such file or directory"},
};

static EVP_PKEY *
new_key(enum key_kind kind)
{
	return kind == KEY_RSA ? EVP_RSA_gen(2048) : EVP_EC_gen("P-256");
}

static void
write_key(EVP_PKEY *own, enum key_kind kind, const char *path)
{
	EVP_PKEY *key = kind == KEY_ITS_OWN ? own : new_key(kind);
	certificate_write_key(key, path);
	if (kind == KEY_EMPTY)
		ck_assert_int_eq(truncate(path, 0), 0);
	if (kind == KEY_MISSING)
		ck_assert_int_eq(unlink(path), 0);
	if (key != own)
		EVP_PKEY_free(key);
}

static void
write_certificate(EVP_PKEY *key, int row, const char *path)
{
	X509 *certificate = certificate_new(key, pairs[row].from_days * CERTIFICATE_DAY_S,
		pairs[row].to_days * CERTIFICATE_DAY_S);
	if (pairs[row].from_is_text)
		ASN1_STRING_set(X509_getm_notBefore(certificate), "once", -1);
	if (pairs[row].to_is_text)
		ASN1_STRING_set(X509_getm_notAfter(certificate), "ever", -1);
	certificate_write(certificate, key, path);
	X509_free(certificate);
}

START_TEST(taken_or_not)
{
	struct certificate_place at;
	char why[CERTIFICATES_WHY_MAX] = "";
	time_t expires, now = time(NULL);
	bool is_key;
	certificate_make_place(&at);
	EVP_PKEY *own = new_key(KEY_ITS_OWN);
	write_certificate(own, _i, at.certificate);
	write_key(own, pairs[_i].key, at.key);
	struct certificates *certificates = certificates_new();
	int result = certificates_add(certificates, at.certificate, at.key, &expires, why, &is_key);
	certificate_remove_place(&at);
	ck_assert_msg(result == (pairs[_i].why ? -1 : 0), "%s", why);
	ck_assert(is_key == pairs[_i].is_key);
	if (pairs[_i].why) {
		ck_assert_msg(strstr(why, pairs[_i].why), "%s", why);
	} else {
		ck_assert_int_ge(expires, now + CERTIFICATE_DAY_S);
		ck_assert_int_le(expires, time(NULL) + CERTIFICATE_DAY_S);
		ck_assert_int_eq(certificates_expire(certificates), expires);
	}
	certificates_free(certificates);
	EVP_PKEY_free(own);
}
END_TEST

static void
fill(TCase *tests)
{
	tcase_add_loop_test(tests, taken_or_not, 0, sizeof(pairs) / sizeof(*pairs));
}

UNIT_MAIN("certificates", fill)

/*
 * Certificates as tests want them, each with a key of its own, self-signed.
 */
#ifndef TESTS_UNIT_CERTIFICATE_H
#define TESTS_UNIT_CERTIFICATE_H

#include <check.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum {
	CERTIFICATE_DAY_S = 24 * 3600,
	CERTIFICATE_PATH_MAX = 128,
};

/* Where a pair is, in a folder of its own. */
struct certificate_place {
	char folder[CERTIFICATE_PATH_MAX / 2];
	char certificate[CERTIFICATE_PATH_MAX], key[CERTIFICATE_PATH_MAX];
};

static inline void
certificate_make_place(struct certificate_place *place)
{
	snprintf(place->folder, sizeof(place->folder), "/tmp/smtplb-certificate-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(place->folder));
	snprintf(place->certificate, sizeof(place->certificate), "%s/lb.pem", place->folder);
	snprintf(place->key, sizeof(place->key), "%s/lb.key", place->folder);
}

/* Whether or not the files are there. */
static inline void
certificate_remove_place(const struct certificate_place *place)
{
	unlink(place->certificate);
	unlink(place->key);
	ck_assert_int_eq(rmdir(place->folder), 0);
}

/* For lb.test. from_s, to_s: since now. To be freed. */
static inline X509 *
certificate_new(EVP_PKEY *key, long from_s, long to_s)
{
	X509 *certificate = X509_new();
	X509_NAME *name = X509_get_subject_name(certificate);
	ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1);
	X509_gmtime_adj(X509_getm_notBefore(certificate), from_s);
	X509_gmtime_adj(X509_getm_notAfter(certificate), to_s);
	X509_NAME_add_entry_by_txt(
		name, "CN", MBSTRING_ASC, (const unsigned char *)"lb.test", -1, -1, 0);
	X509_set_issuer_name(certificate, name);
	X509_set_pubkey(certificate, key);
	return certificate;
}

/* Signs it, and writes it to a file. */
static inline void
certificate_write(X509 *certificate, EVP_PKEY *key, const char *path)
{
	FILE *file = fopen(path, "w");
	ck_assert_ptr_nonnull(file);
	ck_assert_int_gt(X509_sign(certificate, key, EVP_sha256()), 0);
	ck_assert_int_eq(PEM_write_X509(file, certificate), 1);
	ck_assert_int_eq(fclose(file), 0);
}

static inline void
certificate_write_key(EVP_PKEY *key, const char *path)
{
	FILE *file = fopen(path, "w");
	ck_assert_ptr_nonnull(file);
	ck_assert_int_eq(PEM_write_PrivateKey(file, key, NULL, NULL, 0, NULL, NULL), 1);
	ck_assert_int_eq(fclose(file), 0);
}

#endif

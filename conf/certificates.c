/*
 * See certificates.h. A pair is a context of OpenSSL's; a connection begins in the first one and is
 * handed to the one that its client names.
 */
#include "conf/certificates.h"
#include "acl/mem.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char ciphers[] = "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"
			      "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:"
			      "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305:"
			      "DHE-RSA-AES128-GCM-SHA256:DHE-RSA-AES256-GCM-SHA384:"
			      "DHE-RSA-CHACHA20-POLY1305";
static const char groups[] = "X25519:prime256v1:secp384r1";
static const unsigned char resumption[] = "smtplb";

enum {
	DAY_S = 24 * 3600,
	TLS_1_3_SUITES = 0x13, /* RFC 8446, appendix B.4: the upper byte */
};

struct pair {
	SSL_CTX *context;
};

struct certificates {
	struct pair *pairs;
	size_t count;
	time_t expire;
};

struct certificates *
certificates_new(void)
{
	return mem_new(1, sizeof(struct certificates));
}

void
certificates_free(struct certificates *certificates)
{
	if (!certificates)
		return;
	for (size_t i = 0; i < certificates->count; i++)
		SSL_CTX_free(certificates->pairs[i].context);
	free(certificates->pairs);
	free(certificates);
}

/* Reasons. OpenSSL's first error is the cause, and its words are for those who know it. */
static const char *
reason(void)
{
	const char *text = ERR_reason_error_string(ERR_peek_error());
	ERR_clear_error();
	return text ? text : "OpenSSL does not say why";
}

static int
complain(char *why, const char *what)
{
	snprintf(why, CERTIFICATES_WHY_MAX, "%s", what);
	return -1;
}

static int
check_readable(const char *file, char *why)
{
	FILE *stream = fopen(file, "re");
	if (!stream)
		return complain(why, strerror(errno));
	fclose(stream);
	return 0;
}

/* Nobody is there to type one. */
static int
give_no_passphrase(char *to, int size, int is_for_writing, void *context)
{
	(void)to;
	(void)size;
	(void)is_for_writing;
	*(bool *)context = true;
	return -1;
}

static int
choose_by_name(SSL *ssl, int *alert, void *context)
{
	(void)alert;
	const struct certificates *certificates = context;
	const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
	if (!name)
		return SSL_TLSEXT_ERR_NOACK;
	for (size_t i = 0; i < certificates->count; i++) {
		X509 *certificate = SSL_CTX_get0_certificate(certificates->pairs[i].context);
		if (X509_check_host(certificate, name, 0, 0, NULL) != 1)
			continue;
		if (i > 0)
			SSL_set_SSL_CTX(ssl, certificates->pairs[i].context);
		return SSL_TLSEXT_ERR_OK;
	}
	return SSL_TLSEXT_ERR_NOACK;
}

static SSL_CTX *
new_context(struct certificates *certificates)
{
	SSL_CTX *context = SSL_CTX_new(TLS_server_method());
	if (!context)
		return NULL;
	SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
	SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS);
	SSL_CTX_set_tlsext_servername_callback(context, choose_by_name);
	SSL_CTX_set_tlsext_servername_arg(context, certificates);
	if (SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) &&
		SSL_CTX_set_cipher_list(context, ciphers) &&
		SSL_CTX_set1_groups_list(context, groups) && SSL_CTX_set_dh_auto(context, 1) &&
		SSL_CTX_set_session_id_context(context, resumption, sizeof(resumption) - 1))
		return context;
	SSL_CTX_free(context);
	return NULL;
}

static int
load_certificate(SSL_CTX *context, const char *file, char *why)
{
	if (check_readable(file, why) < 0)
		return -1;
	if (SSL_CTX_use_certificate_chain_file(context, file) != 1)
		return complain(why, reason());
	const X509 *certificate = SSL_CTX_get0_certificate(context);
	if (X509_cmp_current_time(X509_get0_notAfter(certificate)) < 0)
		return complain(why, "the certificate has expired");
	if (X509_cmp_current_time(X509_get0_notBefore(certificate)) > 0)
		return complain(why, "the certificate is not valid yet");
	return 0;
}

static int
load_key(SSL_CTX *context, const char *file, const char *certificate, char *why)
{
	bool wants_passphrase = false;
	if (check_readable(file, why) < 0)
		return -1;
	SSL_CTX_set_default_passwd_cb(context, give_no_passphrase);
	SSL_CTX_set_default_passwd_cb_userdata(context, &wants_passphrase);
	int loaded = SSL_CTX_use_PrivateKey_file(context, file, SSL_FILETYPE_PEM);
	SSL_CTX_set_default_passwd_cb_userdata(context, NULL);
	if (wants_passphrase) {
		ERR_clear_error();
		return complain(why, "the key is encrypted; give one without a passphrase");
	}
	if (loaded == 1 && SSL_CTX_check_private_key(context) == 1)
		return 0;
	if (loaded != 1 && ERR_GET_REASON(ERR_peek_error()) != X509_R_KEY_VALUES_MISMATCH)
		return complain(why, reason());
	ERR_clear_error();
	snprintf(why, CERTIFICATES_WHY_MAX, "it is not the key of %s", certificate);
	return -1;
}

static time_t
time_of(const ASN1_TIME *when)
{
	struct tm parts;
	return ASN1_TIME_to_tm(when, &parts) == 1 ? timegm(&parts) : 0;
}

int
certificates_add(struct certificates *certificates, const char *certificate, const char *key,
	time_t *expires, char why[CERTIFICATES_WHY_MAX], bool *is_key)
{
	*is_key = false;
	ERR_clear_error();
	certificates->pairs = mem_resize(
		certificates->pairs, certificates->count + 1, sizeof(*certificates->pairs));
	SSL_CTX *context = new_context(certificates);
	if (!context)
		return complain(why, reason());
	bool failed = load_certificate(context, certificate, why) < 0;
	if (!failed && load_key(context, key, certificate, why) < 0)
		failed = *is_key = true;
	if (failed) {
		SSL_CTX_free(context);
		return -1;
	}
	*expires = time_of(X509_get0_notAfter(SSL_CTX_get0_certificate(context)));
	if (!certificates->count || *expires < certificates->expire)
		certificates->expire = *expires;
	certificates->pairs[certificates->count++].context = context;
	return 0;
}

time_t
certificates_expire(const struct certificates *certificates)
{
	return certificates->expire;
}

int
certificates_days_left(time_t expires)
{
	return (int)((expires - time(NULL)) / DAY_S);
}

/* Suites are of one version's or the other's. */
const char *
certificates_version_name(uint16_t cipher)
{
	return cipher >> 8 == TLS_1_3_SUITES ? "TLSv1.3" : "TLSv1.2";
}

const char *
certificates_cipher_name(const struct certificates *certificates, uint16_t cipher)
{
	const STACK_OF(SSL_CIPHER) *all = SSL_CTX_get_ciphers(certificates->pairs[0].context);
	for (int i = 0; i < sk_SSL_CIPHER_num(all); i++) {
		const SSL_CIPHER *one = sk_SSL_CIPHER_value(all, i);
		if (SSL_CIPHER_get_protocol_id(one) == cipher)
			return SSL_CIPHER_get_name(one);
	}
	return "?";
}

SSL *
certificates_open(const struct certificates *certificates)
{
	SSL *ssl = SSL_new(certificates->pairs[0].context);
	if (ssl)
		SSL_set_accept_state(ssl);
	return ssl;
}

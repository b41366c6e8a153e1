/*
 * See certificates.h. A pair is a context of OpenSSL's; a connection begins in the first one and is
 * handed to the one that its client names.
 */
#include "conf/certificates.h"

#include "acl/mem.h"
#include "conf/profile.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const unsigned char resumption[] = "smtplb";

enum {
	TICKETS = 1, /* to each client of TLS 1.3: mail servers keep one */
	DAY_S = 24 * 3600,
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

static int
complain(char *why, const char *what)
{
	snprintf(why, CERTIFICATES_WHY_MAX, "%s", what);
	return -1;
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
	SSL_CTX *context = profile_context(TLS_server_method());
	if (!context)
		return NULL;
	/* Ours is the order, by which the cheapest of suites that are all strong comes first; but
	 * one who can't do AES quickly says so by putting ChaCha20 first. */
	SSL_CTX_set_options(context, SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
	/* What is in the file is what is shown: nothing is looked for with each handshake. */
	SSL_CTX_set_mode(context, SSL_MODE_NO_AUTO_CHAIN);
	SSL_CTX_set_tlsext_servername_callback(context, choose_by_name);
	SSL_CTX_set_tlsext_servername_arg(context, certificates);
	/* These only note what they are given, and can't fail. */
	SSL_CTX_set_dh_auto(context, 1);
	SSL_CTX_set_num_tickets(context, TICKETS);
	SSL_CTX_set_session_id_context(context, resumption, sizeof(resumption) - 1);
	return context;
}

static int
load_certificate(SSL_CTX *context, const char *file, char *why)
{
	const char *unreadable = profile_unreadable(file);
	if (unreadable)
		return complain(why, unreadable);
	if (SSL_CTX_use_certificate_chain_file(context, file) != 1)
		return complain(why, profile_why());
	const X509 *certificate = SSL_CTX_get0_certificate(context);
	const ASN1_TIME *begin = X509_get0_notBefore(certificate);
	const ASN1_TIME *end = X509_get0_notAfter(certificate);
	if (!ASN1_TIME_check(begin) || !ASN1_TIME_check(end))
		return complain(why, "the certificate's dates can't be read");
	if (X509_cmp_current_time(end) < 0)
		return complain(why, "the certificate has expired");
	if (X509_cmp_current_time(begin) > 0)
		return complain(why, "the certificate is not valid yet");
	return 0;
}

static int
load_key(SSL_CTX *context, const char *file, const char *certificate, char *why)
{
	bool wants_passphrase = false;
	const char *unreadable = profile_unreadable(file);
	if (unreadable)
		return complain(why, unreadable);
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
		return complain(why, profile_why());
	ERR_clear_error();
	snprintf(why, CERTIFICATES_WHY_MAX, "it is not the key of %s", certificate);
	return -1;
}

/* Of one that has been checked. */
static time_t
time_of(const ASN1_TIME *when)
{
	struct tm parts = {0};
	ASN1_TIME_to_tm(when, &parts);
	return timegm(&parts);
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
		return complain(why, profile_why());
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

SSL *
certificates_open(const struct certificates *certificates)
{
	SSL *ssl = SSL_new(certificates->pairs[0].context);
	if (ssl)
		SSL_set_accept_state(ssl);
	return ssl;
}

/*
 * What is alike in all our TLS, whichever side we are: versions 1.2 and 1.3 with the ciphers of
 * Mozilla's "intermediate" profile (https://wiki.mozilla.org/Security/Server_Side_TLS), no
 * renegotiation, and buffers given back while nothing comes.
 */
#ifndef CONF_PROFILE_H
#define CONF_PROFILE_H

#include <openssl/ssl.h>
#include <stdint.h>

/* Once, before any other use of OpenSSL: what it asks for in a load and does not get fails that
 * load (acl/mem.h). By itself it may go on with half of what it was to read, and remember that. */
void profile_init(void);

/* A context by the profile; NULL when there is none, and profile_why tells why. */
SSL_CTX *profile_context(const SSL_METHOD *method);

/* OpenSSL's reason for what has failed in this thread just now, which is forgotten thereby; a
 * constant. Its first error is the cause. */
const char *profile_why(void);

/* Why a file can't be read, as OpenSSL would not say; NULL when it can. */
const char *profile_unreadable(const char *file);

enum {
	PROFILE_TEXT_MAX = 64,
};

/* "TLSv1.3/TLS_AES_128_GCM_SHA256", by the suite's number (IANA). Returns buf. */
const char *profile_format(uint16_t cipher, char buf[PROFILE_TEXT_MAX]);

/* Its parts, by the suite's number. */
const char *profile_version_name(uint16_t cipher);
const char *profile_cipher_name(uint16_t cipher);

#endif

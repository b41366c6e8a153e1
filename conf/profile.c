/*
 * See profile.h.
 */
#include "conf/profile.h"

#include "acl/mem.h"

#include <errno.h>
#include <openssl/err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char ciphers[] = "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"
			      "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:"
			      "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305:"
			      "DHE-RSA-AES128-GCM-SHA256:DHE-RSA-AES256-GCM-SHA384:"
			      "DHE-RSA-CHACHA20-POLY1305";
static const char suites[] = "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:"
			     "TLS_CHACHA20_POLY1305_SHA256";
static const char groups[] = "X25519:prime256v1:secp384r1";

/* Those, by their numbers. */
static const struct {
	uint16_t number;
	const char *name;
} names[] = {
	{0x1301, "TLS_AES_128_GCM_SHA256"},
	{0x1302, "TLS_AES_256_GCM_SHA384"},
	{0x1303, "TLS_CHACHA20_POLY1305_SHA256"},
	{0xC02B, "ECDHE-ECDSA-AES128-GCM-SHA256"},
	{0xC02F, "ECDHE-RSA-AES128-GCM-SHA256"},
	{0xC02C, "ECDHE-ECDSA-AES256-GCM-SHA384"},
	{0xC030, "ECDHE-RSA-AES256-GCM-SHA384"},
	{0xCCA9, "ECDHE-ECDSA-CHACHA20-POLY1305"},
	{0xCCA8, "ECDHE-RSA-CHACHA20-POLY1305"},
	{0x009E, "DHE-RSA-AES128-GCM-SHA256"},
	{0x009F, "DHE-RSA-AES256-GCM-SHA384"},
	{0xCCAA, "DHE-RSA-CHACHA20-POLY1305"},
};

enum {
	TLS_1_3_SUITES = 0x13, /* RFC 8446, appendix B.4: the upper byte */
};

static void *
note(void *block)
{
	if (!block)
		mem_load_fail();
	return block;
}

static void *
allocate(size_t size, const char *file, int line)
{
	(void)file;
	(void)line;
	return note(malloc(size));
}

static void *
reallocate(void *block, size_t size, const char *file, int line)
{
	(void)file;
	(void)line;
	if (size == 0) {
		free(block);
		return NULL;
	}
	return note(realloc(block, size));
}

static void
release(void *block, const char *file, int line)
{
	(void)file;
	(void)line;
	free(block);
}

void
profile_init(void)
{
	CRYPTO_set_mem_functions(allocate, reallocate, release);
}

SSL_CTX *
profile_context(const SSL_METHOD *method)
{
	SSL_CTX *context = SSL_CTX_new(method);
	if (!context)
		return NULL;
	SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
	SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS);
	if (SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) &&
		SSL_CTX_set_cipher_list(context, ciphers) &&
		SSL_CTX_set_ciphersuites(context, suites) &&
		SSL_CTX_set1_groups_list(context, groups))
		return context;
	SSL_CTX_free(context);
	return NULL;
}

const char *
profile_why(void)
{
	const char *text = ERR_reason_error_string(ERR_peek_error());
	ERR_clear_error();
	return text ? text : "OpenSSL does not say why";
}

const char *
profile_unreadable(const char *file)
{
	FILE *stream = fopen(file, "re");
	if (!stream)
		return strerror(errno);
	fclose(stream);
	return NULL;
}

/* Suites are of one version's or the other's. */
const char *
profile_version_name(uint16_t cipher)
{
	return cipher >> 8 == TLS_1_3_SUITES ? "TLSv1.3" : "TLSv1.2";
}

const char *
profile_cipher_name(uint16_t cipher)
{
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		if (names[i].number == cipher)
			return names[i].name;
	}
	return "?";
}

const char *
profile_format(uint16_t cipher, char buf[PROFILE_TEXT_MAX])
{
	snprintf(buf, PROFILE_TEXT_MAX, "%s/%s", profile_version_name(cipher),
		profile_cipher_name(cipher));
	return buf;
}

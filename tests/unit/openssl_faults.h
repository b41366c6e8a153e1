/*
 * Memory that is refused to OpenSSL to order, in the test that begins with openssl_count: before
 * OpenSSL has had any, while there is no other thread.
 */
#ifndef TESTS_UNIT_OPENSSL_FAULTS_H
#define TESTS_UNIT_OPENSSL_FAULTS_H

#include <check.h>
#include <openssl/crypto.h>
#include <stdbool.h>
#include <stdlib.h>

/* The call that finds no memory, of those that follow the order; 0 = none. */
static unsigned openssl_refused;

static inline bool
openssl_refuses(void)
{
	return openssl_refused > 0 && --openssl_refused == 0;
}

static inline void *
openssl_allocate(size_t size, const char *file, int line)
{
	(void)file;
	(void)line;
	return openssl_refuses() ? NULL : malloc(size);
}

static inline void *
openssl_reallocate(void *block, size_t size, const char *file, int line)
{
	(void)file;
	(void)line;
	return openssl_refuses() ? NULL : realloc(block, size);
}

static inline void
openssl_release(void *block, const char *file, int line)
{
	(void)file;
	(void)line;
	free(block);
}

static inline void
openssl_count(void)
{
	ck_assert_int_eq(
		CRYPTO_set_mem_functions(openssl_allocate, openssl_reallocate, openssl_release), 1);
	openssl_refused = 0;
}

#endif

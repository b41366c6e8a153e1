/*
 * See trust.h. Sessions to be resumed are kept in a slot for each server, under a mutex.
 */
#include "conf/trust.h"

#include "acl/mem.h"
#include "conf/profile.h"

#include <openssl/x509v3.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum {
	SLOTS = 512, /* servers whose sessions are kept: a pool's backends, at two ports each */
};

struct slot {
	struct endpoint server;
	SSL_SESSION *session;
};

struct trust {
	SSL_CTX *context;
	pthread_mutex_t mutex;
	unsigned used;            /* slots, under the mutex, */
	struct slot slots[SLOTS]; /* as are they */
};

/* The trust itself is where a connection's context has it, the slot where the connection has. */

static int
keep_session(SSL *ssl, SSL_SESSION *session)
{
	struct trust *trust = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
	struct slot *slot = SSL_get_app_data(ssl);
	if (!slot)
		return 0;
	pthread_mutex_lock(&trust->mutex);
	SSL_SESSION *before = slot->session;
	slot->session = session;
	pthread_mutex_unlock(&trust->mutex);
	SSL_SESSION_free(before);
	return 1;
}

/* What of them is only looked at with the first connection is looked at now: a certificate for
 * which there is no memory then would be taken for a bad one from then on. */
static void
understand(SSL_CTX *context)
{
	X509_STORE *store = SSL_CTX_get_cert_store(context);
	const STACK_OF(X509_OBJECT) *all = X509_STORE_get0_objects(store);
	for (int i = 0; i < sk_X509_OBJECT_num(all); i++)
		X509_check_purpose(X509_OBJECT_get0_X509(sk_X509_OBJECT_value(all, i)), -1, 0);
}

static bool
load_authorities(SSL_CTX *context, const char *file)
{
	int loaded = *file ? SSL_CTX_load_verify_file(context, file)
			   : SSL_CTX_set_default_verify_paths(context);
	if (loaded)
		understand(context);
	return loaded;
}

struct trust *
trust_new(bool verifies, const char *authorities, const char **why)
{
	*why = verifies && *authorities ? profile_unreadable(authorities) : NULL;
	if (*why)
		return NULL;
	SSL_CTX *context = profile_context(TLS_client_method());
	if (!context || (verifies && !load_authorities(context, authorities))) {
		*why = profile_why();
		SSL_CTX_free(context);
		return NULL;
	}
	struct trust *trust = mem_new(1, sizeof(*trust));
	pthread_mutex_init(&trust->mutex, NULL);
	trust->context = context;
	SSL_CTX_set_app_data(context, trust);
	SSL_CTX_set_verify(context, verifies ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, NULL);
	SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
	SSL_CTX_sess_set_new_cb(context, keep_session);
	return trust;
}

void
trust_free(struct trust *trust)
{
	if (!trust)
		return;
	for (unsigned i = 0; i < trust->used; i++)
		SSL_SESSION_free(trust->slots[i].session);
	SSL_CTX_free(trust->context);
	pthread_mutex_destroy(&trust->mutex);
	free(trust);
}

/* The server's slot, and what is in it, a reference of the caller's. NULL without a slot. */
static struct slot *
look_up(struct trust *trust, const struct endpoint *server, SSL_SESSION **session)
{
	struct slot *slot = NULL;
	*session = NULL;
	pthread_mutex_lock(&trust->mutex);
	for (unsigned i = 0; i < trust->used && !slot; i++) {
		struct slot *one = &trust->slots[i];
		if (one->server.port == server->port &&
			addr_equal(&one->server.addr, &server->addr))
			slot = one;
	}
	if (!slot && trust->used < SLOTS) {
		slot = &trust->slots[trust->used++];
		slot->server = *server;
	}
	if (slot && slot->session) {
		SSL_SESSION_up_ref(slot->session);
		*session = slot->session;
	}
	pthread_mutex_unlock(&trust->mutex);
	return slot;
}

static bool
expect_address(SSL *ssl, const struct addr *addr)
{
	return X509_VERIFY_PARAM_set1_ip(
		SSL_get0_param(ssl), addr->bytes, addr_bits(addr->family) / 8);
}

static bool
expect(SSL *ssl, const char *name, const struct endpoint *server)
{
	struct addr addr;
	if (!*name)
		return expect_address(ssl, &server->addr);
	if (addr_parse(&addr, name) == 0)
		return expect_address(ssl, &addr);
	return SSL_set_tlsext_host_name(ssl, name) && SSL_set1_host(ssl, name);
}

SSL *
trust_open(struct trust *trust, const char *name, const struct endpoint *server)
{
	SSL_SESSION *session;
	SSL *ssl = SSL_new(trust->context);
	if (!ssl)
		return NULL;
	struct slot *slot = look_up(trust, server, &session);
	if (!SSL_set_app_data(ssl, slot) || !expect(ssl, name, server)) {
		SSL_SESSION_free(session);
		SSL_free(ssl);
		return NULL;
	}
	if (session)
		SSL_set_session(ssl, session);
	SSL_SESSION_free(session);
	SSL_set_connect_state(ssl);
	return ssl;
}

const char *
trust_why(const SSL *ssl)
{
	long result = SSL_get_verify_result(ssl);
	bool verifies = SSL_get_verify_mode(ssl) & SSL_VERIFY_PEER;
	return verifies && result != X509_V_OK ? X509_verify_cert_error_string(result) : NULL;
}

/*
 * See load_tls.h.
 */
#include "bench/load_tls.h"

#include <errno.h>
#include <openssl/err.h>

/* Of TLS 1.3 a session is given more than one, and the latest is as good as any. */
static int
keep_given(SSL *ssl, SSL_SESSION *session)
{
	struct load_tls *tls = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));

	SSL_SESSION_free(tls->given);
	tls->given = session;
	return 1;
}

bool
load_tls_init(struct load_tls *tls)
{
	tls->context = SSL_CTX_new(TLS_client_method());
	if (tls->context == NULL)
		return false;
	SSL_CTX_set_app_data(tls->context, tls);
	SSL_CTX_set_mode(tls->context, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
					       SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	SSL_CTX_set_session_cache_mode(
		tls->context, tls->resumes ? SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL
					   : SSL_SESS_CACHE_OFF);
	if (tls->resumes)
		SSL_CTX_sess_set_new_cb(tls->context, keep_given);
	return true;
}

void
load_tls_fini(struct load_tls *tls)
{
	SSL_SESSION_free(tls->given);
	SSL_CTX_free(tls->context);
}

SSL *
load_tls_open(struct load_tls *tls, int fd)
{
	SSL *ssl = SSL_new(tls->context);

	if (ssl == NULL || SSL_set_fd(ssl, fd) != 1 ||
		(tls->given != NULL && SSL_set_session(ssl, tls->given) != 1)) {
		SSL_free(ssl);
		return NULL;
	}
	SSL_set_connect_state(ssl);
	return ssl;
}

/* Without this OpenSSL would take the session for one that is not to be resumed. */
void
load_tls_close(SSL *ssl)
{
	if (ssl != NULL)
		SSL_set_shutdown(ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
	SSL_free(ssl);
}

static int
fail(SSL *ssl, int result)
{
	int error = errno;

	switch (SSL_get_error(ssl, result)) {
	case SSL_ERROR_WANT_READ:
	case SSL_ERROR_WANT_WRITE:
		errno = EAGAIN;
		break;
	case SSL_ERROR_SYSCALL:
		errno = error != 0 ? error : EPROTO;
		break;
	default:
		errno = EPROTO;
		break;
	}
	return -1;
}

int
load_tls_shake_hands(SSL *ssl, bool *wants_write)
{
	int result;

	ERR_clear_error();
	errno = 0;
	result = SSL_do_handshake(ssl);
	if (result == 1)
		return 1;
	*wants_write = SSL_want_write(ssl);
	return fail(ssl, result);
}

ssize_t
load_tls_send(SSL *ssl, const void *bytes, size_t len)
{
	size_t sent;
	int result;

	ERR_clear_error();
	errno = 0;
	result = SSL_write_ex(ssl, bytes, len, &sent);
	return result == 1 ? (ssize_t)sent : fail(ssl, result);
}

ssize_t
load_tls_receive(SSL *ssl, void *bytes, size_t size)
{
	size_t got;
	int result;

	ERR_clear_error();
	errno = 0;
	result = SSL_read_ex(ssl, bytes, size, &got);
	if (result == 1)
		return (ssize_t)got;
	return SSL_get_error(ssl, result) == SSL_ERROR_ZERO_RETURN ? 0 : fail(ssl, result);
}

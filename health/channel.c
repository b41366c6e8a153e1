/*
 * See channel.h. OpenSSL reads and writes the socket itself.
 */
#include "health/channel.h"

#include "conf/profile.h"
#include "conf/trust.h"

#include <errno.h>
#include <ev.h>
#include <openssl/err.h>
#include <sys/socket.h>

/* What an SSL call's failure means, as an errno. */
static int
error_of(const SSL *ssl, int result)
{
	int error = errno;
	switch (SSL_get_error(ssl, result)) {
	case SSL_ERROR_WANT_READ:
	case SSL_ERROR_WANT_WRITE:
		return EAGAIN;
	case SSL_ERROR_SYSCALL:
		return error ? error : EPROTO;
	default:
		return EPROTO;
	}
}

int
channel_shake_hands(SSL *ssl)
{
	ERR_clear_error();
	errno = 0;
	int result = SSL_do_handshake(ssl);
	if (result == 1) {
		SSL_set_options(ssl, SSL_OP_IGNORE_UNEXPECTED_EOF);
		return 0;
	}
	errno = error_of(ssl, result);
	if (errno != EAGAIN)
		return -1;
	return SSL_want_write(ssl) ? EV_WRITE : EV_READ;
}

ssize_t
channel_send(int fd, SSL *ssl, const void *bytes, size_t len)
{
	size_t sent;
	if (!ssl)
		return send(fd, bytes, len, MSG_NOSIGNAL);
	ERR_clear_error();
	errno = 0;
	int result = SSL_write_ex(ssl, bytes, len, &sent);
	if (result == 1)
		return (ssize_t)sent;
	errno = error_of(ssl, result);
	return -1;
}

ssize_t
channel_receive(int fd, SSL *ssl, void *bytes, size_t size)
{
	size_t received;
	if (!ssl)
		return recv(fd, bytes, size, 0);
	ERR_clear_error();
	errno = 0;
	int result = SSL_read_ex(ssl, bytes, size, &received);
	if (result == 1)
		return (ssize_t)received;
	if (SSL_get_error(ssl, result) == SSL_ERROR_ZERO_RETURN)
		return 0;
	errno = error_of(ssl, result);
	return -1;
}

int
channel_has_more(const SSL *ssl)
{
	return ssl && SSL_pending(ssl) > 0;
}

const char *
channel_why(const SSL *ssl)
{
	const char *why = trust_why(ssl);
	if (!why)
		return profile_why();
	ERR_clear_error();
	return why;
}

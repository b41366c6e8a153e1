/*
 * See tls.h. OpenSSL reads from the chunks that came and writes into chunks that go, by a BIO of
 * our own, so that beside the cipher each byte is copied once. Runs in its worker's thread.
 */
#include "lb/io/tls.h"

#include "lb/io/engine.h"

#include <assert.h>
#include <errno.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

struct tls {
	SSL *ssl;
	struct chunk *in;  /* received, not read by OpenSSL yet; oldest first */
	struct chunk *out; /* written by OpenSSL, to be queued; oldest first */
	const char *why;
	bool secured; /* was told */
	bool untold;  /* what ends the bytes was read with the last of them */
};

/* The BIO. */

static int
read_in(BIO *bio, char *to, size_t size, size_t *len)
{
	struct tls *tls = ((struct conn *)BIO_get_data(bio))->tls;
	*len = 0;
	BIO_clear_retry_flags(bio);
	while (tls->in && *len < size) {
		struct chunk *chunk = tls->in;
		size_t part = chunk->len < size - *len ? chunk->len : size - *len;
		memcpy(to + *len, chunk->data, part);
		*len += part;
		chunk->data += part;
		chunk->len -= part;
		if (chunk->len > 0)
			break;
		tls->in = chunk->next;
		chunk_put(chunk);
	}
	if (*len == 0)
		BIO_set_retry_read(bio);
	return *len > 0;
}

static int
write_out(BIO *bio, const char *from, size_t len, size_t *taken)
{
	struct conn *conn = BIO_get_data(bio);
	struct chunk **end = &conn->tls->out;
	*taken = 0;
	BIO_clear_retry_flags(bio);
	while (*end && (*end)->next)
		end = &(*end)->next;
	while (*taken < len) {
		if (*end && (*end)->len == (*end)->size)
			end = &(*end)->next;
		if (!*end)
			*end = chunk_get(&conn->base.io->chunks);
		if (!*end)
			return 0;
		struct chunk *chunk = *end;
		size_t room = chunk->size - chunk->len;
		size_t part = len - *taken < room ? len - *taken : room;
		memcpy(chunk->bytes + chunk->len, from + *taken, part);
		chunk->len += part;
		*taken += part;
	}
	return 1;
}

static long
control(BIO *bio, int command, long number, void *pointer)
{
	(void)bio;
	(void)number;
	(void)pointer;
	return command == BIO_CTRL_FLUSH;
}

/* One for all, made by who needs it first; NULL for want of memory. */
static const BIO_METHOD *
chunk_method(void)
{
	static _Atomic(BIO_METHOD *) made;
	BIO_METHOD *method = atomic_load(&made), *none = NULL;
	if (method)
		return method;
	method = BIO_meth_new(BIO_TYPE_SOURCE_SINK, "chunks");
	bool is_whole = method && BIO_meth_set_read_ex(method, read_in) &&
			BIO_meth_set_write_ex(method, write_out) &&
			BIO_meth_set_ctrl(method, control);
	if (is_whole && atomic_compare_exchange_strong(&made, &none, method))
		return method;
	BIO_meth_free(method);
	return none;
}

/* What OpenSSL has left to be sent. */

static bool
queue_out(struct conn *conn)
{
	bool flushed = !conn->queue;
	struct chunk *chunk = conn->tls->out;
	conn->tls->out = NULL;
	while (chunk) {
		struct chunk *next = chunk->next;
		flushed = conn_queue(conn, chunk);
		chunk = next;
	}
	return flushed;
}

/* The first error is the cause. */
static void
note_why(struct tls *tls)
{
	unsigned long error = ERR_peek_error();
	if (error && !tls->why)
		tls->why = ERR_reason_error_string(error);
}

/* An alert may be on its way out. */
static void
fail(struct conn *conn)
{
	note_why(conn->tls);
	ERR_clear_error();
	queue_out(conn);
	conn_end_receiving(conn, EPROTO);
}

/* Whether it goes on: what is wanted will come, if nothing is wrong. */
static bool
wants_more(struct conn *conn, int result)
{
	int error = SSL_get_error(conn->tls->ssl, result);
	return error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE;
}

static void
shake_hands(struct conn *conn)
{
	struct tls *tls = conn->tls;
	ERR_clear_error();
	int result = SSL_do_handshake(tls->ssl);
	if (result != 1 && !wants_more(conn, result)) {
		fail(conn);
		return;
	}
	queue_out(conn);
	if (result != 1)
		return;
	tls->secured = true;
	conn->cipher = SSL_CIPHER_get_protocol_id(SSL_get_current_cipher(tls->ssl));
	conn->resumed = SSL_session_reused(tls->ssl);
	conn->has_early_data = tls->in;
	conn->events->secured(conn);
}

/* As many records as have come, into one chunk if they fit: what it is in the end depends on the
 * last one. */
static int
decrypt(struct tls *tls, struct chunk *chunk)
{
	int result;
	do {
		size_t len;
		ERR_clear_error();
		result = SSL_read_ex(
			tls->ssl, chunk->bytes + chunk->len, chunk->size - chunk->len, &len);
		if (result == 1)
			chunk->len += len;
	} while (result == 1 && tls->in && chunk->size - chunk->len >= SSL3_RT_MAX_PLAIN_LENGTH);
	return result;
}

/* What came behind the last bytes is told when they have been. */
static bool
end_reading(struct conn *conn, int result)
{
	if (wants_more(conn, result))
		return false;
	if (SSL_get_error(conn->tls->ssl, result) == SSL_ERROR_ZERO_RETURN)
		conn_end_receiving(conn, 0);
	else
		fail(conn);
	return false;
}

/* One chunk's bytes, at most. False when there is no more to do for now: OpenSSL is not asked in
 * vain, since even that takes it a buffer. */
static bool
read_records(struct conn *conn)
{
	struct tls *tls = conn->tls;
	struct chunk_pool *chunks = &conn->base.io->chunks;
	bool is_stream = tls->in && tls->in->len > CHUNK_SIZE;
	struct chunk *chunk = is_stream ? chunk_get_large(chunks) : chunk_get(chunks);
	if (!chunk) {
		conn_end_receiving(conn, ENOMEM);
		return false;
	}
	int result = decrypt(tls, chunk);
	note_why(tls);
	queue_out(conn);
	if (chunk->len > 0) {
		tls->untold = result != 1 && !wants_more(conn, result);
		bool has_more = tls->untold || tls->in || SSL_has_pending(tls->ssl);
		conn->events->received(conn, chunk);
		return has_more;
	}
	chunk_put(chunk);
	return end_reading(conn, result);
}

static bool
goes_on(const struct conn *conn)
{
	return conn->fd >= 0 && conn->receiving && !conn->ended;
}

void
tls_hold(struct conn *conn, struct chunk *chunk)
{
	struct chunk **end = &conn->tls->in;
	while (*end)
		end = &(*end)->next;
	*end = chunk;
}

void
tls_take(struct conn *conn, struct chunk *chunk)
{
	tls_hold(conn, chunk);
	tls_go_on(conn);
}

void
tls_go_on(struct conn *conn)
{
	if (goes_on(conn) && !conn->tls->secured)
		shake_hands(conn);
	while (goes_on(conn) && conn->tls->secured && read_records(conn))
		;
}

bool
tls_has_held(const struct conn *conn)
{
	return conn->tls->in || conn->tls->untold;
}

/* Fails for want of memory only, or after a failure. */
static int
encrypt(struct conn *conn, const void *bytes, size_t len)
{
	size_t taken;
	ERR_clear_error();
	if (SSL_write_ex(conn->tls->ssl, bytes, len, &taken) == 1)
		return 0;
	ERR_clear_error();
	errno = ENOMEM;
	return -1;
}

bool
tls_send(struct conn *conn, struct chunk *chunk)
{
	int result = encrypt(conn, chunk->data, chunk->len);
	chunk_put(chunk);
	if (result == 0)
		return queue_out(conn);
	conn_give_up_sending(conn);
	return true;
}

int
tls_send_bytes(struct conn *conn, const void *bytes, size_t len)
{
	if (encrypt(conn, bytes, len) < 0)
		return -1;
	queue_out(conn);
	return 0;
}

void
tls_end_sending(struct conn *conn)
{
	ERR_clear_error();
	if (conn->tls->secured && !conn->broken)
		SSL_shutdown(conn->tls->ssl);
	ERR_clear_error();
	queue_out(conn);
}

/* Beginning and end. */

/* Nothing but want of memory is in the way of a client's first words. */
static int
say_hello(struct conn *conn)
{
	ERR_clear_error();
	bool is_said = wants_more(conn, SSL_do_handshake(conn->tls->ssl));
	ERR_clear_error();
	if (is_said) {
		queue_out(conn);
		return 0;
	}
	tls_free(conn);
	errno = ENOMEM;
	return -1;
}

int
tls_start(struct conn *conn, SSL *ssl)
{
	assert(conn->fd >= 0 && !conn->is_secure);
	struct tls *tls = calloc(1, sizeof(*tls));
	const BIO_METHOD *method = chunk_method();
	BIO *bio = method ? BIO_new(method) : NULL;
	if (!tls || !bio) {
		BIO_free(bio);
		free(tls);
		SSL_free(ssl);
		errno = ENOMEM;
		return -1;
	}
	BIO_set_data(bio, conn);
	BIO_set_init(bio, 1);
	SSL_set_bio(ssl, bio, bio);
	tls->ssl = ssl;
	tls->in = conn->unread;
	conn->tls = tls;
	conn->is_secure = true;
	conn->has_early_data = false;
	return SSL_is_server(ssl) ? 0 : say_hello(conn);
}

void
tls_free(struct conn *conn)
{
	struct tls *tls = conn->tls;
	SSL_free(tls->ssl);
	chunk_put_all(tls->in);
	chunk_put_all(tls->out);
	free(tls);
	conn->is_secure = false;
	conn->tls = NULL;
}

SSL *
tls_of(const struct conn *conn)
{
	return conn->is_secure ? conn->tls->ssl : NULL;
}

const char *
tls_why(const struct conn *conn)
{
	return conn->is_secure ? conn->tls->why : NULL;
}

/*
 * What is kept to resume sessions by: of each server its own, and of servers beyond the room for
 * them none. Handshakes go through memory.
 */
#include "conf/trust.h"

#include "conf/certificates.h"
#include "tests/unit/certificate.h"
#include "tests/unit/openssl_faults.h"
#include "tests/unit/unit.h"

#include <openssl/bio.h>
#include <stdio.h>

enum {
	ROOM = 512,  /* servers */
	ROUNDS = 10, /* of a handshake: more than it takes */
};

static struct certificates *
server_new(void)
{
	char why[CERTIFICATES_WHY_MAX] = "";
	struct certificate_place at;
	time_t expires;
	bool is_key;
	certificate_make_place(&at);
	EVP_PKEY *own = EVP_EC_gen("P-256");
	X509 *text = certificate_new(own, -CERTIFICATE_DAY_S, CERTIFICATE_DAY_S);
	certificate_write(text, own, at.certificate);
	certificate_write_key(own, at.key);
	struct certificates *certificates = certificates_new();
	int result = certificates_add(certificates, at.certificate, at.key, &expires, why, &is_key);
	certificate_remove_place(&at);
	ck_assert_msg(result == 0, "%s", why);
	X509_free(text);
	EVP_PKEY_free(own);
	return certificates;
}

/* Connects, as if to that server, and reads on until the ticket is there. Whether the session was
 * resumed. */
static bool
meet(struct trust *trust, const struct endpoint *server, const struct certificates *certificates)
{
	char byte;
	BIO *near, *far;
	SSL *client = trust_open(trust, "lb.test", server);
	SSL *other = certificates_open(certificates);
	ck_assert_ptr_nonnull(client);
	ck_assert_ptr_nonnull(other);
	ck_assert_int_eq(BIO_new_bio_pair(&near, 0, &far, 0), 1);
	SSL_set_bio(client, near, near);
	SSL_set_bio(other, far, far);
	for (int i = 0; i < ROUNDS; i++) {
		SSL_do_handshake(client);
		SSL_do_handshake(other);
	}
	ck_assert(SSL_is_init_finished(client) && SSL_is_init_finished(other));
	ck_assert_int_lt(SSL_read(client, &byte, 1), 0);
	bool resumed = SSL_session_reused(client);
	/* One that was not closed is not resumed. */
	SSL_set_shutdown(client, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
	SSL_free(client);
	SSL_free(other);
	return resumed;
}

static struct endpoint
server_at(unsigned number, uint16_t port)
{
	struct endpoint server = {.port = port};
	char text[ADDR_TEXT_MAX];
	snprintf(text, sizeof(text), "192.0.%u.%u", number / 256, number % 256);
	ck_assert_int_eq(addr_parse(&server.addr, text), 0);
	return server;
}

START_TEST(a_session_is_its_servers)
{
	const char *why;
	struct trust *trust = trust_new(false, "", &why);
	struct certificates *certificates = server_new();
	const struct endpoint one = server_at(1, 25), other = server_at(2, 25),
			      port = server_at(1, 587);
	ck_assert(!meet(trust, &one, certificates));
	ck_assert(meet(trust, &one, certificates));
	ck_assert(!meet(trust, &other, certificates));
	ck_assert(!meet(trust, &port, certificates));
	ck_assert(meet(trust, &other, certificates));
	ck_assert(meet(trust, &one, certificates));
	trust_free(trust);
	certificates_free(certificates);
}
END_TEST

START_TEST(servers_beyond_the_room)
{
	const char *why;
	struct trust *trust = trust_new(false, "", &why);
	struct certificates *certificates = server_new();
	struct endpoint first = server_at(0, 25), late = server_at(ROOM, 25);
	ck_assert(!meet(trust, &first, certificates));
	for (unsigned i = 1; i < ROOM; i++) {
		struct endpoint server = server_at(i, 25);
		SSL_free(trust_open(trust, "", &server));
	}
	ck_assert(!meet(trust, &late, certificates));
	ck_assert(!meet(trust, &late, certificates));
	ck_assert(meet(trust, &first, certificates));
	trust_free(trust);
	certificates_free(certificates);
}
END_TEST

/* Each refusal is told, and costs nothing but this connection. */
START_TEST(memory_is_refused)
{
	const char *why, *const names[] = {"lb.test", "", "192.0.2.1"};
	SSL *ssl = NULL;
	openssl_count();
	struct trust *trust = trust_new(false, "", &why);
	const struct endpoint server = server_at(1, 25);
	for (unsigned call = 1; openssl_refused == 0; call++) {
		SSL_free(ssl);
		openssl_refused = call;
		ssl = trust_open(trust, names[_i], &server);
	}
	ck_assert_ptr_nonnull(ssl);
	SSL_free(ssl);
	trust_free(trust);
}
END_TEST

static void
fill(TCase *tests)
{
	tcase_add_test(tests, a_session_is_its_servers);
	tcase_add_test(tests, servers_beyond_the_room);
	tcase_add_loop_test(tests, memory_is_refused, 0, 3);
}

UNIT_MAIN("trust", fill)

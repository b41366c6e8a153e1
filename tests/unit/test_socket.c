/*
 * Sockets: what an accepted and an outgoing connection have of options, who may listen where.
 */
#include "lb/io/socket.h"
#include "tests/unit/faults.h"
#include "tests/unit/unit.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

static int
get_option(int fd, int level, int option)
{
	int value = -1;
	socklen_t len = sizeof(value);
	ck_assert_int_eq(getsockopt(fd, level, option, &value, &len), 0);
	return value;
}

/* The address that a socket got, port included. */
static struct endpoint
name_of(int fd)
{
	struct endpoint name;
	struct sockaddr_storage sa;
	socklen_t len = sizeof(sa);
	ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&sa, &len), 0);
	endpoint_from_sockaddr(&name, (struct sockaddr *)&sa);
	return name;
}

static struct endpoint
any_port(const char *address)
{
	struct endpoint endpoint = {.port = 0};
	ck_assert_int_eq(addr_parse(&endpoint.addr, address), 0);
	return endpoint;
}

static int
connect_to(const struct endpoint *endpoint)
{
	struct sockaddr_storage sa;
	socklen_t len = endpoint_to_sockaddr(endpoint, &sa);
	int fd = socket_new(endpoint);
	ck_assert_int_ge(fd, 0);
	int result = connect(fd, (struct sockaddr *)&sa, len);
	ck_assert(result == 0 || errno == EINPROGRESS);
	return fd;
}

static void
check_options(int fd)
{
	ck_assert_int_eq(get_option(fd, IPPROTO_TCP, TCP_NODELAY), 1);
	ck_assert_int_eq(get_option(fd, SOL_SOCKET, SO_KEEPALIVE), 1);
	ck_assert_int_eq(get_option(fd, IPPROTO_TCP, TCP_KEEPIDLE), 60);
	ck_assert_int_eq(get_option(fd, IPPROTO_TCP, TCP_KEEPINTVL), 15);
	ck_assert_int_eq(get_option(fd, IPPROTO_TCP, TCP_USER_TIMEOUT), 300000);
}

static const char *const addresses[] = {"127.0.0.1", "::1"};

START_TEST(test_both_sides_have_the_options)
{
	int listening;
	struct endpoint at = any_port(addresses[_i]);
	ck_assert_int_eq(socket_listen(&at, &listening, 1), 0);
	at = name_of(listening);
	int client = connect_to(&at);
	struct pollfd wait = {.fd = listening, .events = POLLIN};
	ck_assert_int_eq(poll(&wait, 1, 10000), 1);
	int accepted = accept(listening, NULL, NULL);
	ck_assert_int_ge(accepted, 0);
	check_options(accepted);
	ck_assert_int_eq(get_option(client, IPPROTO_TCP, TCP_NODELAY), 1);
	ck_assert_int_eq(get_option(client, SOL_SOCKET, SO_KEEPALIVE), 0);
	ck_assert_int_eq(socket_detect_death(client), 0);
	check_options(client);
	close(accepted);
	close(client);
	close(listening);
}
END_TEST

/* All the sockets of an address take connections, and no second set of them gets in beside. */
START_TEST(test_siblings_share_and_strangers_do_not)
{
	enum {
		SOCKETS = 2,
		CLIENTS = 64,
	};
	int fds[SOCKETS], others[SOCKETS], clients[CLIENTS];
	unsigned taken[SOCKETS] = {0};
	struct endpoint at = any_port(addresses[_i]);
	ck_assert_int_eq(socket_listen(&at, fds, 1), 0);
	at = name_of(fds[0]);
	close(fds[0]);
	ck_assert_int_eq(socket_listen(&at, fds, SOCKETS), 0);
	ck_assert_int_eq(socket_listen(&at, others, SOCKETS), -1);
	ck_assert_int_eq(errno, EADDRINUSE);
	for (int i = 0; i < CLIENTS; i++)
		clients[i] = connect_to(&at);
	for (int i = 0; i < CLIENTS; i++) {
		struct pollfd wait[SOCKETS] = {
			{.fd = fds[0], .events = POLLIN}, {.fd = fds[1], .events = POLLIN}};
		ck_assert_int_ge(poll(wait, SOCKETS, 10000), 1);
		int which = wait[0].revents ? 0 : 1;
		close(accept(fds[which], NULL, NULL));
		taken[which]++;
	}
	ck_assert_uint_gt(taken[0], 0);
	ck_assert_uint_gt(taken[1], 0);
	for (int i = 0; i < CLIENTS; i++)
		close(clients[i]);
	close(fds[0]);
	close(fds[1]);
}
END_TEST

/* Listens on some port of IPv6, and on the same of IPv4. False when another process has the latter.
 */
static bool
listen_on_both(int *six, int *four)
{
	struct endpoint at = any_port("::"), same_port = any_port("0.0.0.0");
	ck_assert_int_eq(socket_listen(&at, six, 1), 0);
	same_port.port = name_of(*six).port;
	if (socket_listen(&same_port, four, 1) == 0)
		return true;
	ck_assert_int_eq(errno, EADDRINUSE);
	close(*six);
	return false;
}

START_TEST(test_ipv6_takes_ipv6_only)
{
	int six, four;
	bool both = false;
	for (int i = 0; i < 50 && !both; i++)
		both = listen_on_both(&six, &four);
	ck_assert(both);
	ck_assert_int_eq(get_option(six, IPPROTO_IPV6, IPV6_V6ONLY), 1);
	close(four);
	close(six);
}
END_TEST

static struct addr
address_of(const char *text)
{
	struct addr addr = {.family = ADDR_NONE};
	if (*text)
		ck_assert_int_eq(addr_parse(&addr, text), 0);
	return addr;
}

static const struct {
	const char *listening, *foreign;
} families[] = {{"127.0.0.1", "203.0.113.1"}, {"::1", "2001:db8::1"}};

/* An address that may come later, as a virtual one does. */
START_TEST(test_foreign_address_is_listened_on)
{
	int fds[2];
	struct endpoint at = any_port(families[_i].foreign);
	ck_assert(!socket_is_ours(&at.addr));
	ck_assert_int_eq(socket_listen(&at, fds, 1), 0);
	at = name_of(fds[0]);
	ck_assert_int_eq(socket_listen(&at, fds + 1, 1), -1);
	ck_assert_int_eq(errno, EADDRINUSE);
	close(fds[0]);
	at = any_port(families[_i].listening);
	ck_assert(socket_is_ours(&at.addr));
	at = any_port(_i ? "::" : "0.0.0.0");
	ck_assert(socket_is_ours(&at.addr));
}
END_TEST

START_TEST(test_source_address)
{
	int listening[2], clients[2];
	struct addr from = address_of(_i ? "::1" : "127.9.8.7");
	struct endpoint at = any_port(families[_i].listening);
	for (int i = 0; i < 2; i++) {
		struct endpoint fresh = at;
		ck_assert_int_eq(socket_listen(&fresh, &listening[i], 1), 0);
		fresh = name_of(listening[i]);
		clients[i] = socket_connect(&fresh, &from);
		ck_assert_int_ge(clients[i], 0);
		struct endpoint name = name_of(clients[i]);
		ck_assert(addr_equal(&name.addr, &from));
		ck_assert_uint_ne(name.port, 0);
		ck_assert_int_eq(get_option(clients[i], IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT), 1);
		ck_assert_int_eq(get_option(clients[i], IPPROTO_TCP, TCP_NODELAY), 1);
	}
	for (int i = 0; i < 2; i++) {
		close(clients[i]);
		close(listening[i]);
	}
}
END_TEST

START_TEST(test_source_address_that_is_not_ours)
{
	struct addr from = address_of(families[_i].foreign);
	struct endpoint to = any_port(families[_i].listening);
	to.port = 25;
	ck_assert_int_eq(socket_connect(&to, &from), -1);
	ck_assert_int_eq(errno, EADDRNOTAVAIL);
	from = address_of(families[!_i].listening);
	ck_assert_int_eq(socket_connect(&to, &from), -1);
	ck_assert_int_ne(errno, EADDRNOTAVAIL);
}
END_TEST

/* Failing calls. */

static int
lowest_descriptor(void)
{
	int fd = dup(STDERR_FILENO);
	close(fd);
	return fd;
}

static const struct {
	const char *address;
	unsigned sockets;
	const char *call;
	unsigned number; /* which of them fails */
	int error;
} listen_faults[] = {
	{"127.0.0.1", 1, "socket", 1, EMFILE},
	{"127.0.0.1", 2, "socket", 2, ENFILE},
	{"127.0.0.1", 1, "setsockopt", 1, ENOMEM}, /* of every socket */
	{"127.0.0.1", 1, "setsockopt", 2, ENOMEM},
	{"127.0.0.1", 1, "setsockopt", 3, ENOMEM},
	{"127.0.0.1", 1, "setsockopt", 4, ENOMEM},
	{"127.0.0.1", 1, "setsockopt", 5, ENOMEM},
	{"127.0.0.1", 1, "setsockopt", 6, ENOMEM}, /* SO_REUSEADDR */
	{"127.0.0.1", 1, "setsockopt", 7, EPERM},  /* IP_FREEBIND */
	{"::1", 1, "setsockopt", 7, EPERM},
	{"::1", 1, "setsockopt", 8, EPERM},       /* IPV6_V6ONLY */
	{"127.0.0.1", 1, "setsockopt", 8, EPERM}, /* SO_REUSEPORT */
	{"127.0.0.1", 2, "setsockopt", 16, EPERM},
	{"127.0.0.1", 1, "bind", 1, EACCES},
	{"127.0.0.1", 2, "listen", 2, EADDRINUSE},
};

/* All or none, and nothing is left open. */
START_TEST(test_listening_that_fails)
{
	int fds[2], before = lowest_descriptor();
	struct endpoint at = any_port(listen_faults[_i].address);
	ck_assert_int_eq(socket_listen(&at, fds, 1), 0);
	at = name_of(fds[0]); /* a port for both */
	close(fds[0]);
	fault_order(listen_faults[_i].call, listen_faults[_i].error, listen_faults[_i].number,
		listen_faults[_i].number);
	ck_assert_int_eq(socket_listen(&at, fds, listen_faults[_i].sockets), -1);
	ck_assert_int_eq(errno, listen_faults[_i].error);
	ck_assert_int_eq(lowest_descriptor(), before);
	ck_assert_int_eq(socket_listen(&at, fds, listen_faults[_i].sockets), 0);
	for (unsigned i = 0; i < listen_faults[_i].sockets; i++)
		close(fds[i]);
}
END_TEST

/* What connect(2) says, and what is said of it: EADDRNOTAVAIL is a want of ports, but where no
 * address of ours leads there. */
static const struct {
	const char *from;
	struct {
		const char *call;
		unsigned number;
		int error;
	} faults[2];
	int error;
} connect_faults[] = {
	{"", {{"socket", 1, EMFILE}}, EMFILE},
	{"", {{"setsockopt", 1, ENOMEM}}, ENOMEM},
	{"", {{"connect", 1, EPERM}}, EPERM},
	{"", {{"connect", 1, EADDRNOTAVAIL}}, EAGAIN},
	{"", {{"connect", 1, EADDRNOTAVAIL}, {"connect", 2, EADDRNOTAVAIL}}, ENETUNREACH},
	{"", {{"connect", 1, EADDRNOTAVAIL}, {"connect", 2, ENETUNREACH}}, EAGAIN},
	{"", {{"connect", 1, EADDRNOTAVAIL}, {"socket", 2, EMFILE}}, EAGAIN},
	{"127.9.8.7", {{"setsockopt", 2, ENOPROTOOPT}}, ENOPROTOOPT},
	{"127.9.8.7", {{"bind", 1, EADDRNOTAVAIL}}, EADDRNOTAVAIL},
};

START_TEST(test_connecting_that_fails)
{
	int before = lowest_descriptor();
	struct addr from = address_of(connect_faults[_i].from);
	struct endpoint to = any_port("127.0.0.1");
	to.port = 25;
	for (size_t i = 0; i < 2 && connect_faults[_i].faults[i].call; i++) {
		unsigned number = connect_faults[_i].faults[i].number;
		fault_order(connect_faults[_i].faults[i].call, connect_faults[_i].faults[i].error,
			number, number);
	}
	ck_assert_int_eq(socket_connect(&to, &from), -1);
	ck_assert_int_eq(errno, connect_faults[_i].error);
	ck_assert_int_eq(lowest_descriptor(), before);
}
END_TEST

START_TEST(test_connection_that_stands_at_once)
{
	int listening;
	struct addr from = address_of("");
	struct endpoint at = any_port("127.0.0.1");
	ck_assert_int_eq(socket_listen(&at, &listening, 1), 0);
	at = name_of(listening);
	fault_order("connect", 0, 1, 1);
	int client = socket_connect(&at, &from);
	ck_assert_int_ge(client, 0);
	ck_assert_int_eq(write(client, "hello", 5), 5);
	close(client);
	close(listening);
}
END_TEST

/* Where it can't be asked nobody is warned. */
START_TEST(test_address_that_can_not_be_asked_for)
{
	struct addr foreign = address_of(families[_i].foreign);
	ck_assert(!socket_is_ours(&foreign));
	fault_order("socket", EMFILE, 1, 1);
	ck_assert(socket_is_ours(&foreign));
	fault_order("bind", EACCES, 1, 1);
	ck_assert(socket_is_ours(&foreign));
}
END_TEST

static void
add(TCase *cases)
{
	tcase_add_loop_test(cases, test_both_sides_have_the_options, 0, 2);
	tcase_add_loop_test(cases, test_siblings_share_and_strangers_do_not, 0, 2);
	tcase_add_test(cases, test_ipv6_takes_ipv6_only);
	tcase_add_loop_test(cases, test_foreign_address_is_listened_on, 0, 2);
	tcase_add_loop_test(cases, test_source_address, 0, 2);
	tcase_add_loop_test(cases, test_source_address_that_is_not_ours, 0, 2);
	tcase_add_loop_test(cases, test_listening_that_fails, 0,
		sizeof(listen_faults) / sizeof(listen_faults[0]));
	tcase_add_loop_test(cases, test_connecting_that_fails, 0,
		sizeof(connect_faults) / sizeof(connect_faults[0]));
	tcase_add_test(cases, test_connection_that_stands_at_once);
	tcase_add_loop_test(cases, test_address_that_can_not_be_asked_for, 0, 2);
}

UNIT_MAIN("socket", add)

/*
 * Runtimes: whose counts a listener goes on with, and preparing without memory.
 */
#include "lb/runtime.h"

#include "lb/metrics.h"
#include "lb/tally.h"
#include "tests/unit/memory_faults.h"
#include "tests/unit/unit.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	WORKERS = 2,
};

struct site {
	uint16_t port;
	struct pool_set *set;
	struct report report;
};

static void
on_usable(void *context)
{
	(void)context;
}

/* A port that nobody has. */
static uint16_t
free_port(void)
{
	struct sockaddr_in sa = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(sa);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&sa, len), 0);
	ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&sa, &len), 0);
	close(fd);
	return ntohs(sa.sin_port);
}

static void
open_site(struct site *site)
{
	site->port = free_port();
	site->set = pool_set_new(WORKERS, on_usable, NULL);
	report_init(&site->report);
}

static struct snapshot *
snapshot_of(struct site *site, const char *listener)
{
	char text[512];
	int len = snprintf(text, sizeof(text),
		"user = \"\"\nacl few { allow = { 192.0.2.0/24 } }\n"
		"pool relays { proxy_protocol = v2  backend one { address = 127.0.0.1 } }\n"
		"listener %s { bind = 127.0.0.1:%u  acl = few  pool = relays }\n",
		listener, (unsigned)site->port);
	struct snapshot *snapshot = snapshot_parse("conf", text, (size_t)len, &site->report);
	ck_assert_ptr_nonnull(snapshot);
	return snapshot;
}

static struct runtime *
serve(struct site *site, struct runtime *before, const char *listener)
{
	struct snapshot *snapshot = snapshot_of(site, listener);
	struct runtime *runtime =
		runtime_prepare(before, NULL, snapshot, site->set, WORKERS, &site->report);
	ck_assert_ptr_nonnull(runtime);
	runtime_commit(runtime, site->set);
	snapshot_unref(snapshot);
	return runtime;
}

/* The workers close them elsewhere. */
static void
close_sockets(const struct runtime *runtime)
{
	for (unsigned i = 0; i < WORKERS; i++)
		close(runtime->bindings[0].fds[i]);
}

START_TEST(a_listener_counts_by_its_name)
{
	struct site site;
	struct listener_counts sum;
	open_site(&site);
	struct runtime *first = serve(&site, NULL, "smtp");
	struct runtime *second = serve(&site, first, "smtp");
	ck_assert_ptr_eq(first->tallies[0], second->tallies[0]);
	/* What still runs under the first is counted by the second, */
	struct listener_counts *counts = tally_block(first->tallies[0], 1);
	tally_add(&counts->bytes[DIRECTION_IN], 7);
	runtime_unref(first);
	tally_sum(second->tallies[0], &sum);
	ck_assert_uint_eq(sum.bytes[DIRECTION_IN], 7);
	/* and goes on when the name has gone. */
	struct runtime *third = serve(&site, second, "other");
	ck_assert_ptr_ne(second->tallies[0], third->tallies[0]);
	tally_add(&counts->bytes[DIRECTION_IN], 7);
	tally_sum(third->tallies[0], &sum);
	ck_assert_uint_eq(sum.bytes[DIRECTION_IN], 0);
	tally_sum(second->tallies[0], &sum);
	ck_assert_uint_eq(sum.bytes[DIRECTION_IN], 14);
	close_sockets(third);
	runtime_unref(second);
	runtime_unref(third);
	pool_set_free(site.set);
	report_fini(&site.report);
}
END_TEST

START_TEST(no_memory_for_a_runtime)
{
	struct site site;
	open_site(&site);
	struct snapshot *snapshot = snapshot_of(&site, "smtp");
	struct runtime *runtime = NULL;
	unsigned refused = 0;
	while (!runtime) {
		memory_refused = ++refused;
		runtime = runtime_prepare(NULL, NULL, snapshot, site.set, WORKERS, &site.report);
	}
	memory_refused = 0;
	ck_assert_uint_gt(refused, 8);
	ck_assert_uint_eq(site.report.errors, refused - 1);
	runtime_drop(runtime);
	snapshot_unref(snapshot);
	pool_set_free(site.set);
	report_fini(&site.report);
}
END_TEST

static void
fill(TCase *cases)
{
	tcase_add_test(cases, a_listener_counts_by_its_name);
	tcase_add_test(cases, no_memory_for_a_runtime);
}

UNIT_MAIN("runtime", fill)

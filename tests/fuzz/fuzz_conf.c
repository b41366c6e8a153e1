/*
 * Arbitrary bytes as a configuration: the text's cleaning, the statements, libconfuse, all checks.
 */
#include "conf/snapshot.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Lists in files have a target of their own, and no input shall choose a file to read. */
static int
names_file(const uint8_t *data, size_t size)
{
	return memmem(data, size, "file:", 5) || memmem(data, size, "cidr:", 5);
}

static void
require(int truth)
{
	if (!truth)
		abort();
}

static void
check_snapshot(const struct snapshot *snapshot)
{
	require(snapshot->workers > 0 && *snapshot->hostname && snapshot->listener_count > 0);
	for (size_t i = 0; i < snapshot->listener_count; i++) {
		const struct listener_conf *listener = &snapshot->listeners[i];
		require(listener->acl && listener->bind_count > 0 && listener->idle_timeout_ms > 0);
		require(listener->pool >= snapshot->pools &&
			listener->pool < snapshot->pools + snapshot->pool_count);
	}
	for (size_t i = 0; i < snapshot->pool_count; i++) {
		const struct pool_conf *pool = &snapshot->pools[i];
		require(pool->backend_count > 0 && pool->backend_count <= POOL_BACKENDS_MAX);
		require(pool->check.status_count > 0 && pool->check.rise && pool->check.fall);
		for (size_t k = 0; k < pool->backend_count; k++)
			require(pool->backends[k].address.family != ADDR_NONE &&
				pool->backends[k].weight > 0);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (names_file(data, size))
		return 0;
	struct report report;
	report_init(&report);
	struct snapshot *snapshot = snapshot_parse("fuzz.conf", (const char *)data, size, &report);
	require(!snapshot == (report.errors > 0));
	if (snapshot)
		check_snapshot(snapshot);
	for (size_t i = 0; i < report.count; i++)
		require(strncmp(report.entries[i].text, "fuzz.conf:", 10) == 0 &&
			!strchr(report.entries[i].text, '\n'));
	snapshot_unref(snapshot);
	report_fini(&report);
	return 0;
}

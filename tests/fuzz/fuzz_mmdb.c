/*
 * Databases of any bytes: the first says of which kind ('a': network numbers), the rest is the
 * file. libmaxminddb may crash in the child; where it doesn't, the same is done in this process
 * too, which shows libFuzzer the ways through our code, and must come to the same table. In that
 * any address is looked up, and any value told that a visit finds.
 */
#include "acl/geo.h"
#include "acl/mmdb.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
const char *__asan_default_options(void);

/* The library leaks on broken metadata. */
const char *
__asan_default_options(void)
{
	return "detect_leaks=0";
}

static void
must(bool truth)
{
	if (!truth)
		abort();
}

static void
on_value(void *context, const struct addr *first, uint32_t value)
{
	must(geo_find(context, first) == value && geo_has(context, value));
}

static void
check_table(struct geo *geo)
{
	struct prefix v4 = {.addr.family = ADDR_V4}, v6 = {.addr.family = ADDR_V6};
	size_t steps = 10000;
	geo_visit(geo, &v4, on_value, geo, &steps);
	geo_visit(geo, &v6, on_value, geo, &steps);
}

static void
must_hold(int file, off_t at, const void *expected, size_t len)
{
	char *got = malloc(len + 1);
	must(got && pread(file, got, len, at) == (ssize_t)len && memcmp(got, expected, len) == 0);
	free(got);
}

static void
do_here(enum geo_kind kind, const char *path, const struct geo *geo)
{
	char why[GEO_WHY_MAX];
	int out = memfd_create("table", MFD_CLOEXEC);
	must(out >= 0);
	must((mmdb_write(kind, path, out, why) == 0) == (geo != NULL));
	if (geo) {
		off_t at = sizeof(struct mmdb_header);
		size_t len = geo->node_count * sizeof(*geo->nodes);
		must_hold(out, at, geo->nodes, len);
		must_hold(
			out, at + (off_t)len, geo->values, geo->value_count * sizeof(*geo->values));
	}
	close(out);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	enum geo_kind kind = data[0] == 'a' ? GEO_ASN : GEO_COUNTRY;
	char path[64], why[GEO_WHY_MAX] = "";
	int file = memfd_create("database", MFD_CLOEXEC);
	must(file >= 0 && write(file, data + 1, size - 1) == (ssize_t)(size - 1));
	/* The child has no descriptor of this process. */
	snprintf(path, sizeof(path), "/proc/%d/fd/%d", (int)getpid(), file);
	struct geo *geo = geo_load(kind, path, NULL, why);
	must(geo || why[0]);
	if (geo)
		check_table(geo);
	bool harmless = !strstr(why, "its reader") && !strstr(why, "memory");
	if (geo || (harmless && size > 1))
		do_here(kind, path, geo);
	geo_free(geo);
	close(file);
	return 0;
}

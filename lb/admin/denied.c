/*
 * Denied sources as JSON; see denied.h. Main thread; reads the workers' summaries under their
 * locks.
 */
#include "lb/admin/denied.h"

#include "acl/fix.h"
#include "conf/snapshot.h"
#include "lb/admin/answer.h"
#include "lb/admin/json_text.h"
#include "lb/denied.h"
#include "lb/runtime.h"
#include "lb/wall.h"

#include <stdlib.h>
#include <string.h>

enum {
	RULE_MAX = 4096 + 128,  /* a path and a rule */
	FIX_MAX = 4 * RULE_MAX, /* a few of them */
};

static uint32_t
look_up(const struct snapshot *snapshot, enum geo_kind kind, const struct addr *addr)
{
	const struct geo *geo = snapshot->geo[kind];
	return geo ? geo_find(geo, addr) : GEO_NONE;
}

static json_t *
country_json(const struct snapshot *snapshot, const struct addr *addr)
{
	uint32_t value = look_up(snapshot, GEO_COUNTRY, addr);
	char text[GEO_TEXT_MAX];
	if (value == GEO_NONE)
		return json_null();
	return json_string(strchr(geo_format(GEO_COUNTRY, value, text), ':') + 1);
}

static json_t *
asn_json(const struct snapshot *snapshot, const struct addr *addr)
{
	uint32_t value = look_up(snapshot, GEO_ASN, addr);
	return value == GEO_NONE ? json_null() : json_integer(value);
}

static const struct listener_conf *
find_listener(const struct snapshot *snapshot, const char *name)
{
	for (size_t i = 0; i < snapshot->listener_count; i++) {
		if (strcmp(snapshot->listeners[i].name, name) == 0)
			return &snapshot->listeners[i];
	}
	return NULL;
}

static json_t *
rule_json(const struct listener_conf *listener, const struct addr *addr)
{
	if (!listener)
		return json_null();
	char text[RULE_MAX];
	struct verdict verdict = acl_decide(listener->acl, addr);
	return json_text(verdict_format(&verdict, text, sizeof(text)));
}

static json_t *
fix_json(const struct listener_conf *listener, const struct addr *addr)
{
	char text[FIX_MAX];
	if (!listener || !fix_format(listener->acl, addr, text, sizeof(text)))
		return json_null();
	return json_text(text);
}

static json_t *
source_json(const struct snapshot *snapshot, const struct denied_source *source)
{
	const struct listener_conf *listener = find_listener(snapshot, source->listener);
	const struct addr *addr = &source->address;
	char last[WALL_TEXT_MAX], network[PREFIX_TEXT_MAX], address[ADDR_TEXT_MAX];
	return json_pack("{s:I, s:I, s:s, s:s, s:s, s:s, s:o, s:o, s:o, s:o}", "count",
		(json_int_t)source->count, "at_least", (json_int_t)source->at_least, "last",
		wall_format(source->last_ms, last), "listener", source->listener, "network",
		addr_network_format(addr, network), "address", addr_format(addr, address),
		"country", country_json(snapshot, addr), "asn", asn_json(snapshot, addr), "rule",
		rule_json(listener, addr), "fix", fix_json(listener, addr));
}

static struct denied_source *
read_all(const struct serving *serving, size_t rows, size_t *count)
{
	struct denied **all = calloc(serving->worker_count, sizeof(struct denied *));
	if (!all)
		return NULL;
	for (unsigned i = 0; i < serving->worker_count; i++)
		all[i] = worker_denied(serving->workers[i]);
	struct denied_source *sources = denied_read(all, serving->worker_count, rows, count);
	free(all);
	return sources;
}

json_t *
denied_json(const struct serving *serving, size_t rows)
{
	size_t count;
	struct denied_source *sources = read_all(serving, rows, &count);
	if (!sources)
		return NULL;
	json_t *array = json_array();
	for (size_t i = 0; i < count; i++)
		array = answer_add(array, source_json(serving->runtime->snapshot, &sources[i]));
	free(sources);
	return json_pack("{s:o}", "denied", array);
}

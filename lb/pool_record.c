/*
 * See pool_record.h.
 */
#include "lb/pool_record.h"

#include "health/health.h"
#include "lb/admin/json_text.h"
#include "lb/pool.h"
#include "lb/pool_set.h"
#include "lb/pool_state.h"
#include "lb/runtime.h"

#include <string.h>

static json_t *
text_or_null(bool is_there, const char *text)
{
	return is_there ? json_text(text) : json_null();
}

static json_t *
record_one(const char *pool, const struct backend *backend)
{
	char address[ADDR_TEXT_MAX];
	return json_pack("{s:s, s:s, s:s, s:s, s:I, s:I, s:o, s:o}", "pool", pool, "backend",
		backend->name, "address", addr_format(&backend->address, address), "state",
		admin_state_name(backend->admin), "cut_at_ms", (json_int_t)backend->cut_at_ms,
		"since_ms", (json_int_t)backend->since_ms, "probe",
		text_or_null(!backend->probe_up, backend->probe_why), "greetings",
		text_or_null(backend->suspended, backend->suspended_why));
}

static int
record_pool(json_t *record, struct pool *pool)
{
	int result = 0;
	pthread_mutex_lock(&pool->mutex);
	for (unsigned i = 0; i < pool->count; i++)
		result |= json_array_append_new(record, record_one(pool->name, pool->members[i]));
	pthread_mutex_unlock(&pool->mutex);
	return result;
}

json_t *
pool_record_new(const struct serving *serving)
{
	const struct runtime *runtime = serving->runtime;
	json_t *record = json_array();
	int result = record ? 0 : -1;
	for (size_t i = 0; i < runtime->snapshot->pool_count && result == 0; i++)
		result = record_pool(record, runtime->pools[i]);
	if (result == 0)
		return record;
	json_decref(record);
	return NULL;
}

static int
read_one(json_t *json, const char **pool, struct backend_record *record)
{
	const char *address, *state;
	json_int_t cut_at_ms, since_ms;
	if (json_unpack(json, "{s:s, s:s, s:s, s:s, s:I, s:I}", "pool", pool, "backend",
		    &record->name, "address", &address, "state", &state, "cut_at_ms", &cut_at_ms,
		    "since_ms", &since_ms) < 0)
		return -1;
	record->cut_at_ms = (uint64_t)cut_at_ms;
	record->since_ms = (uint64_t)since_ms;
	record->probe_why = json_string_value(json_object_get(json, "probe"));
	record->greetings_why = json_string_value(json_object_get(json, "greetings"));
	if (addr_parse(&record->address, address) < 0)
		return -1;
	return admin_state_parse(&record->state, state);
}

static void
restore_one(const char *name, struct backend_record *record, const struct serving *serving)
{
	struct pool *pool = pool_set_find(serving->pools, name);
	if (!pool)
		return;
	if (record->probe_why &&
		!health_take_down(serving->health, name, record->name, &record->address))
		record->probe_why = NULL;
	pool_restore(pool, record);
	if (record->state == ADMIN_MAINT)
		health_pause(serving->health, name, record->name, true);
}

void
pool_record_restore(const json_t *record, const struct serving *serving)
{
	size_t i;
	json_t *json;
	json_array_foreach(record, i, json)
	{
		const char *pool;
		struct backend_record one = {.name = NULL};
		if (read_one(json, &pool, &one) == 0)
			restore_one(pool, &one, serving);
	}
}

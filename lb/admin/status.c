/*
 * See status.h. Main thread; reads the pools under their locks, and what the workers count without.
 */
#include "lb/admin/status.h"

#include "conf/snapshot.h"
#include "lb/admin/answer.h"
#include "lb/admin/json_text.h"
#include "lb/admin/growth.h"
#include "lb/choose_engine.h"
#include "lb/clock.h"
#include "lb/metrics.h"
#include "lb/pool_set.h"
#include "lb/pool_status.h"
#include "lb/runtime.h"
#include "lb/tally.h"
#include "lb/wall.h"

#include <stdint.h>
#include <unistd.h>

static const char *const balance_names[] = {
	[BALANCE_ROUNDROBIN] = "roundrobin",
	[BALANCE_LEASTCONN] = "leastconn",
	[BALANCE_SOURCE] = "source",
};

static json_t *
number(uint64_t value)
{
	return json_integer((json_int_t)value);
}

/* NULL where zero means that there is no limit. */
static json_t *
limit(unsigned value)
{
	return value ? number(value) : json_null();
}

static json_t *
outcomes_json(const uint64_t counts[OUTCOMES])
{
	return json_pack("{s:o, s:o, s:o}", message_outcome_names[OUTCOME_ACCEPTED],
		number(counts[OUTCOME_ACCEPTED]), message_outcome_names[OUTCOME_DEFERRED],
		number(counts[OUTCOME_DEFERRED]), message_outcome_names[OUTCOME_REJECTED],
		number(counts[OUTCOME_REJECTED]));
}

static json_t *
troubles_json(const struct trouble troubles[STAGES])
{
	char text[REPLY_STATUS_TEXT_MAX];
	json_t *json = json_array();
	for (int i = 0; i < STAGES; i++) {
		if (troubles[i].lasts)
			json = answer_add(json,
				json_pack("{s:s, s:s}", "verb", stage_name((enum stage)i), "reply",
					reply_status_format(&troubles[i].reply, text)));
	}
	return json;
}

static json_t *
probe_json(const struct probe_note *note)
{
	char at[WALL_TEXT_MAX];
	if (!note->at_ms)
		return json_null();
	return json_pack("{s:s, s:b, s:o}", "at", wall_format(note->at_ms, at), "ok", note->ok,
		"detail", json_text(note->detail));
}

/* Of the last minutes. */
static json_t *
recent_json(const struct recent *recent)
{
	struct growth sum = recent_sum(recent, recent_minute());
	return json_pack("{s:o, s:o}", "replies", growth_replies_json(&sum), "greeting",
		growth_greeting_json(&sum));
}

static json_t *
backend_json(const struct backend_status *status)
{
	char text[ENDPOINT_TEXT_MAX], since[WALL_TEXT_MAX];
	struct backend_counts counts;
	struct growth all;
	const char *address = status->endpoint.port ? endpoint_format(&status->endpoint, text)
						    : addr_format(&status->endpoint.addr, text);
	tally_sum(status->backend->tally, &counts);
	all = growth_in_all(&counts);
	return json_pack("{s:s, s:s, s:b, s:s, s:s?, s:o, s:b, s:b, s:o, s:o, s:s, s:i, s:b, s:o, "
			 "s:o, s:o, s:o, s:o, s:o}",
		"name", status->backend->name, "address", address, "up", status->up, "since",
		wall_format(status->since_ms, since), "cause", status->cause, "detail",
		status->cause ? json_text(status->why) : json_null(), "probe_up", status->probe_up,
		"greetings_up", status->greetings_up, "probe", probe_json(&status->last_probe),
		"troubles", troubles_json(status->backend->troubles), "state",
		admin_state_name(status->admin), "weight", (int)status->weight, "backup",
		status->backup, "sessions", number(status->active), "max_sessions",
		limit(status->max_sessions), "messages", outcomes_json(counts.messages),
		"recipients", outcomes_json(counts.recipients), "replies",
		growth_replies_json(&all), "recent", recent_json(&status->backend->recent));
}

static json_t *
pool_json(struct pool *pool, const struct pool_conf *conf)
{
	struct pool_status status;
	if (pool_look(pool, &status) < 0)
		return NULL;
	json_t *backends = json_array();
	for (size_t i = 0; i < status.count; i++)
		backends = answer_add(backends, backend_json(&status.backends[i]));
	json_t *json = json_pack("{s:s, s:s, s:s, s:o, s:b, s:o}", "name", conf->name, "balance",
		balance_names[conf->balance], "tls", tls_mode_names[conf->tls], "waiting",
		number(status.waiting), "fail_open", status.opens, "backends", backends);
	pool_status_fini(pool, &status);
	return json;
}

static json_t *
listener_json(const struct listener_conf *listener, const struct tally *tally)
{
	struct listener_counts counts;
	char expires[WALL_TEXT_MAX];
	const struct certificates *certificates = listener->certificates;
	json_t *binds = json_array();
	for (size_t i = 0; i < listener->bind_count; i++) {
		char text[ENDPOINT_TEXT_MAX];
		const char *bind = endpoint_format(&listener->binds[i].endpoint, text);
		binds = answer_add(binds, json_string(bind));
	}
	tally_sum(tally, &counts);
	if (certificates)
		wall_format((uint64_t)certificates_expire(certificates) * 1000, expires);
	return json_pack("{s:s, s:o, s:s, s:s, s:s?, s:o, s:o}", "name", listener->name, "bind",
		binds, "pool", listener->pool->name, "tls", tls_mode_names[listener->tls],
		"certificate_expires", certificates ? expires : NULL, "sessions",
		number(counts.active), "messages", outcomes_json(counts.messages));
}

static json_t *
config_json(const struct serving *serving)
{
	char since[WALL_TEXT_MAX];
	return json_pack("{s:s, s:b}", "since", wall_format(serving->changed_ms, since), "refused",
		serving->refused);
}

json_t *
status_json(const struct serving *serving, bool stopping)
{
	const struct snapshot *snapshot = serving->runtime->snapshot;
	json_t *pools = json_array(), *listeners = json_array();
	for (size_t i = 0; i < snapshot->pool_count; i++)
		pools = answer_add(
			pools, pool_json(serving->runtime->pools[i], &snapshot->pools[i]));
	for (size_t i = 0; i < snapshot->listener_count; i++)
		listeners = answer_add(listeners,
			listener_json(&snapshot->listeners[i], serving->runtime->tallies[i]));
	uint64_t sessions = __atomic_load_n(&serving->shared.sessions, __ATOMIC_RELAXED);
	uint64_t max = __atomic_load_n(&serving->shared.max_sessions, __ATOMIC_RELAXED);
	char now[WALL_TEXT_MAX];
	return json_pack("{s:s, s:s, s:s, s:s, s:s, s:o, s:i, s:i, s:o, s:o, s:o, s:o, s:o, s:o}",
		"version", SMTPLB_VERSION, "engine", engine_name(serving->shared.engine),
		"hostname", serving->shared.hostname, "state", stopping ? "stopping" : "running",
		"now", wall_format(wall_ms(), now), "uptime_s",
		number((clock_ms() - serving->started_ms) / 1000), "pid", (int)getpid(), "workers",
		(int)serving->worker_count, "file", json_text(snapshot->file), "config",
		config_json(serving), "sessions", number(sessions), "max_sessions", number(max),
		"listeners", listeners, "pools", pools);
}

bool
status_is_healthy(const struct serving *serving)
{
	const struct snapshot *snapshot = serving->runtime->snapshot;
	for (size_t i = 0; i < snapshot->listener_count; i++) {
		const struct pool_conf *conf = snapshot->listeners[i].pool;
		if (pool_is_usable(serving->runtime->pools[conf - snapshot->pools]))
			return true;
	}
	return false;
}

/*
 * A backend's state and how it changes. Guarded by its pool's mutex; no locks, no log here.
 */
#include "lb/backend.h"

#include "lb/balance_source.h"
#include "lb/clock.h"
#include "lb/pool.h"
#include "lb/tally.h"
#include "lb/wall.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	TRIAL_FIRST_MS = 1000,
	TRIAL_MAX_MS = 30000,
};

static const char *const admin_state_names[] = {
	[ADMIN_READY] = "ready",
	[ADMIN_DRAIN] = "drain",
	[ADMIN_MAINT] = "maint",
};

const char *
admin_state_name(enum admin_state state)
{
	return admin_state_names[state];
}

int
admin_state_parse(enum admin_state *state, const char *name)
{
	for (int i = ADMIN_READY; i <= ADMIN_MAINT; i++) {
		if (strcmp(name, admin_state_names[i]) == 0) {
			*state = (enum admin_state)i;
			return 0;
		}
	}
	return -1;
}

struct backend *
backend_new(struct pool *pool, const struct backend_conf *conf, struct tally *tally)
{
	struct backend *backend = calloc(1, sizeof(*backend));
	if (!backend)
		return NULL;
	backend->name = strdup(conf->name);
	if (!backend->name) {
		free(backend);
		return NULL;
	}
	backend->pool = pool;
	backend->tally = tally_ref(tally);
	backend->address = conf->address;
	backend->hash = source_name(conf->name);
	backend->refs = 1;
	backend_reset(backend);
	return backend;
}

void
backend_reset(struct backend *backend)
{
	backend->admin = ADMIN_READY;
	backend->cut_at_ms = 0;
	backend->since_ms = wall_ms();
	backend->probe_up = true;
	backend->suspended = false;
	backend->greetings_missed = 0;
	backend->last_probe.at_ms = 0;
	memset(backend->troubles, 0, sizeof(backend->troubles));
	memset(&backend->recent, 0, sizeof(backend->recent));
}

void
backend_restore(struct backend *backend, const struct backend_record *record, bool greetings_count)
{
	backend->admin = record->state;
	__atomic_store_n(&backend->cut_at_ms, record->cut_at_ms, __ATOMIC_RELAXED);
	backend->since_ms = record->since_ms;
	backend->probe_up = !record->probe_why;
	if (record->probe_why)
		snprintf(backend->probe_why, sizeof(backend->probe_why), "%s", record->probe_why);
	backend->suspended = record->greetings_why && greetings_count;
	if (!backend->suspended)
		return;
	snprintf(backend->suspended_why, sizeof(backend->suspended_why), "%s",
		record->greetings_why);
	backend_schedule_first_trial(backend, 0);
}

void
backend_unref(struct backend *backend)
{
	if (--backend->refs > 0)
		return;
	tally_unref(backend->tally);
	free(backend->name);
	free(backend);
}

void
backend_configure(struct backend *backend, const struct backend_conf *conf)
{
	backend->port = conf->port;
	backend->weight = conf->weight;
	backend->max_sessions = conf->max_sessions;
	backend->backup = conf->backup;
}

bool
backend_is_up(const struct backend *backend)
{
	return backend->probe_up && !backend->suspended;
}

unsigned
backend_room(const struct backend *backend)
{
	if (backend->max_sessions == 0)
		return UINT_MAX;
	return backend->active < backend->max_sessions ? backend->max_sessions - backend->active
						       : 0;
}

bool
backend_awaits_trial(const struct backend *backend)
{
	return backend->suspended && backend->probe_up && backend->admin == ADMIN_READY &&
	       !backend->trial_running;
}

bool
backend_miss_greeting(struct backend *backend, unsigned greeting_fall)
{
	backend->greetings_missed++;
	if (backend->suspended || greeting_fall == 0 || backend->greetings_missed < greeting_fall)
		return false;
	backend->suspended = true;
	backend_schedule_first_trial(backend, TRIAL_FIRST_MS);
	return true;
}

void
backend_schedule_first_trial(struct backend *backend, uint64_t after_ms)
{
	backend->trial_interval_ms = TRIAL_FIRST_MS;
	backend->trial_at_ms = clock_ms() + after_ms;
}

void
backend_repeat_trial(struct backend *backend)
{
	backend->trial_at_ms = clock_ms() + TRIAL_FIRST_MS;
}

void
backend_postpone_trial(struct backend *backend)
{
	backend->trial_interval_ms *= 2;
	if (backend->trial_interval_ms > TRIAL_MAX_MS)
		backend->trial_interval_ms = TRIAL_MAX_MS;
	backend->trial_at_ms = clock_ms() + backend->trial_interval_ms;
}

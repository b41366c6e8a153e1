/*
 * See history.h.
 */
#include "lb/admin/history.h"

#include "lb/admin/answer.h"
#include "lb/admin/growth.h"
#include "lb/admin/samples.h"
#include "lb/clock.h"
#include "lb/pool_status.h"
#include "lb/runtime.h"
#include "lb/tally.h"

#include <stdlib.h>

struct history {
	struct ev_loop *loop;
	const struct serving *serving;
	ev_timer look;
	struct samples samples;
};

/* Looks. */

static void
look_at_listener(const struct tally *tally, struct load *load, uint64_t *active)
{
	struct listener_counts counts;
	tally_sum(tally, &counts);
	*active += counts.active;
	load->sessions += counts.active;
	for (int i = 0; i < RESULTS; i++)
		load->sessions += counts.sessions[i];
	load->denied += counts.denied[DENIAL_ACL];
	for (int i = 0; i < OUTCOMES; i++)
		load->messages[i] += counts.messages[i];
}

/* Without memory the next look sees what this one would have. */
static void
look_at_pool(struct pool *pool, struct growth *growth)
{
	struct pool_status status;
	uint64_t minute = recent_minute();
	if (pool_look(pool, &status) < 0)
		return;
	for (size_t i = 0; i < status.count; i++) {
		struct backend_counts counts;
		tally_sum(status.backends[i].backend->tally, &counts);
		struct growth all = growth_in_all(&counts);
		struct growth more = recent_see(&status.backends[i].backend->recent, &all, minute);
		growth_add(growth, &more);
	}
	pool_status_fini(pool, &status);
}

static void
on_look(struct ev_loop *loop, ev_timer *timer, int ready)
{
	(void)loop;
	(void)ready;
	struct history *history = timer->data;
	const struct runtime *runtime = history->serving->runtime;
	const struct snapshot *snapshot = runtime->snapshot;
	struct load load = {.sessions = 0};
	struct growth growth = {.replies = {0}};
	uint64_t active = 0;
	for (size_t i = 0; i < snapshot->listener_count; i++)
		look_at_listener(runtime->tallies[i], &load, &active);
	for (size_t i = 0; i < snapshot->pool_count; i++)
		look_at_pool(runtime->pools[i], &growth);
	samples_add(&history->samples, clock_ms(), &load, active, &growth);
}

struct history *
history_new(struct ev_loop *loop, const struct serving *serving)
{
	struct history *history = calloc(1, sizeof(*history));
	if (!history)
		return NULL;
	history->loop = loop;
	history->serving = serving;
	ev_timer_init(&history->look, on_look, 0, SAMPLE_INTERVAL_S);
	history->look.data = history;
	ev_timer_start(loop, &history->look);
	return history;
}

void
history_free(struct history *history)
{
	if (!history)
		return;
	ev_timer_stop(history->loop, &history->look);
	free(history);
}

/* What they saw. */

typedef json_t *figure_fn(const struct sample *sample);

static json_t *
number(uint64_t value)
{
	return json_integer((json_int_t)value);
}

static json_t *
of_ms(const struct sample *sample)
{
	return number(sample->ms);
}

static json_t *
of_active(const struct sample *sample)
{
	return number(sample->active);
}

static json_t *
of_sessions(const struct sample *sample)
{
	return number(sample->load.sessions);
}

static json_t *
of_denied(const struct sample *sample)
{
	return number(sample->load.denied);
}

static json_t *
of_accepted(const struct sample *sample)
{
	return number(sample->load.messages[OUTCOME_ACCEPTED]);
}

static json_t *
of_deferred(const struct sample *sample)
{
	return number(sample->load.messages[OUTCOME_DEFERRED]);
}

static json_t *
of_rejected(const struct sample *sample)
{
	return number(sample->load.messages[OUTCOME_REJECTED]);
}

static json_t *
of_p50(const struct sample *sample)
{
	return growth_quantile_json(&sample->growth, 50);
}

static json_t *
of_p99(const struct sample *sample)
{
	return growth_quantile_json(&sample->growth, 99);
}

static const struct {
	const char *name;
	figure_fn *figure;
} figures[] = {
	{"ms", of_ms},
	{"active", of_active},
	{"sessions", of_sessions},
	{"denied", of_denied},
	{"accepted", of_accepted},
	{"deferred", of_deferred},
	{"rejected", of_rejected},
	{"greeting_p50_ms", of_p50},
	{"greeting_p99_ms", of_p99},
};

static json_t *
column(const struct samples *samples, figure_fn *figure)
{
	json_t *array = json_array();
	for (size_t i = 0; i < samples_count(samples); i++)
		array = answer_add(array, figure(samples_at(samples, i)));
	return array;
}

static json_t *
columns(const struct samples *samples)
{
	json_t *json = json_object();
	for (size_t i = 0; i < sizeof(figures) / sizeof(*figures); i++) {
		json_t *array = column(samples, figures[i].figure);
		if (json_object_set_new(json, figures[i].name, array) < 0) {
			json_decref(json);
			return NULL;
		}
	}
	return json;
}

json_t *
history_json(const struct history *history)
{
	const struct samples *samples = &history->samples;
	struct growth sum = {.replies = {0}};
	for (size_t i = 0; i < samples_count(samples); i++)
		growth_add(&sum, &samples_at(samples, i)->growth);
	return json_pack("{s:i, s:i, s:o, s:o, s:o}", "interval_s", SAMPLE_INTERVAL_S, "most",
		SAMPLES, "samples", columns(samples), "replies", growth_replies_json(&sum),
		"greeting", growth_greeting_json(&sum));
}

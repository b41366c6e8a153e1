/*
 * See troubles.h.
 */
#include "lb/troubles.h"

#include "lb/event.h"
#include "lb/pool_status.h"
#include "lb/runtime.h"
#include "lb/tally.h"
#include "lb/trouble.h"

static void
log_trouble(const struct backend *backend, enum stage stage, enum trouble_news news)
{
	const struct trouble *trouble = &backend->troubles[stage];
	bool begins = news == TROUBLE_BEGINS;
	struct event event;
	char reply[REPLY_STATUS_TEXT_MAX];
	event_begin(&event, begins ? LOG_LEVEL_WARNING : LOG_LEVEL_INFO, "trouble");
	event_text(&event, "pool", pool_name(backend->pool));
	event_text(&event, "backend", backend->name);
	event_text(&event, "verb", stage_name(stage));
	event_text(&event, "reply", reply_status_format(&trouble->reply, reply));
	event_number(&event, "deferred", trouble->own.deferred);
	event_number(&event, "replies", trouble->own.replies);
	event_number(&event, "peers_deferred", trouble->peers.deferred);
	event_number(&event, "peers_replies", trouble->peers.replies);
	event_text(&event, "state", begins ? "begins" : "ends");
	event_end(&event);
}

/* Adds what the backend has replied since the look before. */
static void
see(struct backend *backend, struct stage_counts all[STAGES])
{
	struct backend_counts counts;
	tally_sum(backend->tally, &counts);
	for (int i = 0; i < STAGES; i++) {
		struct stage_counts now = stage_counts_of(&counts, (enum stage)i);
		struct stage_counts more = trouble_see(&backend->troubles[i], &now);
		all[i].replies += more.replies;
		all[i].deferred += more.deferred;
	}
}

static void
judge(struct backend *backend, const struct stage_counts all[STAGES])
{
	for (int i = 0; i < STAGES; i++) {
		struct reply_status latest = deferral_latest(&backend->deferrals, (enum stage)i);
		enum trouble_news news = trouble_judge(&backend->troubles[i], &all[i], &latest);
		if (news != TROUBLE_NONE)
			log_trouble(backend, (enum stage)i, news);
	}
}

/* Without memory the next look sees what this one would have. */
static void
look_at(struct pool *pool)
{
	struct pool_status status;
	struct stage_counts all[STAGES] = {{.replies = 0}};
	if (pool_look(pool, &status) < 0)
		return;
	for (size_t i = 0; i < status.count; i++)
		see(status.backends[i].backend, all);
	for (size_t i = 0; i < status.count; i++)
		judge(status.backends[i].backend, all);
	pool_status_fini(pool, &status);
}

static void
on_look(struct ev_loop *loop, ev_timer *timer, int ready)
{
	(void)loop;
	(void)ready;
	const struct troubles *troubles = timer->data;
	const struct runtime *runtime = troubles->serving->runtime;
	for (size_t i = 0; i < runtime->snapshot->pool_count; i++)
		look_at(runtime->pools[i]);
}

void
troubles_init(struct troubles *troubles, struct ev_loop *loop, const struct serving *serving)
{
	troubles->loop = loop;
	troubles->serving = serving;
	ev_timer_init(&troubles->look, on_look, 0, TROUBLE_INTERVAL_S);
	troubles->look.data = troubles;
	ev_timer_start(loop, &troubles->look);
}

void
troubles_fini(struct troubles *troubles)
{
	if (troubles->loop)
		ev_timer_stop(troubles->loop, &troubles->look);
}

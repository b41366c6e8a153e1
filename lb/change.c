/*
 * Puts a configuration into effect in all the rooms that serve.
 */
#include "lb/change.h"

#include "acl/report.h"
#include "health/health.h"
#include "lb/admin/admin.h"
#include "lb/descriptors.h"
#include "lb/log.h"
#include "lb/pool_record.h"
#include "lb/runtime.h"
#include "lb/view.h"
#include "lb/watch.h"
#include "lb/watcher.h"
#include "lb/wall.h"

#include <stdlib.h>

static void
drop_views(struct view **views, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		view_unref(views[i]);
	free(views);
}

static struct view **
prepare_views(const struct serving *serving, struct runtime *runtime)
{
	struct view **views = calloc(serving->worker_count, sizeof(struct view *));
	if (!views)
		return NULL;
	for (unsigned i = 0; i < serving->worker_count; i++) {
		views[i] = view_new(serving->workers[i], runtime);
		if (!views[i]) {
			drop_views(views, i);
			return NULL;
		}
	}
	return views;
}

int
change_prepare(struct change *change, struct serving *serving, struct snapshot *snapshot,
	struct report *report)
{
	*change = (struct change){.runtime = NULL};
	if (descriptors_check(snapshot, report) < 0)
		return -1;
	change->runtime = runtime_prepare(serving->runtime, serving->given, snapshot,
		serving->pools, serving->worker_count, report);
	if (!change->runtime)
		return -1;
	change->watch = watch_new(&snapshot->sources);
	change->views = prepare_views(serving, change->runtime);
	if (!change->watch || !change->views || health_prepare(serving->health, snapshot) < 0)
		report_error(report, snapshot->file, 0, "no memory to serve this configuration");
	else if (admin_prepare(serving->admin, serving->given, snapshot, report) == 0)
		return 0;
	change_drop(change, serving);
	return -1;
}

void
change_drop(const struct change *change, const struct serving *serving)
{
	if (change->views)
		drop_views(change->views, serving->worker_count);
	watch_free(change->watch);
	json_decref(change->record);
	admin_drop(serving->admin);
	runtime_drop(change->runtime);
}

void
change_commit(const struct change *change, struct serving *serving)
{
	struct runtime *runtime = change->runtime;
	struct snapshot *snapshot = runtime->snapshot;
	/* Before anybody is served who may be told of. */
	log_set_level(snapshot->log_level);
	log_set_format(snapshot->log_format);
	log_set_target(snapshot->log_target);
	__atomic_store_n(&serving->shared.max_sessions, descriptors_session_limit(snapshot),
		__ATOMIC_RELAXED);
	runtime_commit(runtime, serving->pools);
	health_configure(serving->health, snapshot);
	if (change->record)
		pool_record_restore(change->record, serving);
	json_decref(change->record);
	for (unsigned i = 0; i < serving->worker_count; i++)
		worker_install(serving->workers[i], change->views[i]);
	free(change->views);
	runtime_unref(serving->runtime);
	serving->runtime = runtime;
	serving->changed_ms = wall_ms();
	serving->changes++;
	serving->refused = false;
	watcher_watch(serving->watcher, change->watch);
	admin_commit(serving->admin);
}

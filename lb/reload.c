/*
 * See reload.h.
 */
#include "lb/reload.h"

#include "lb/admin/admin.h"
#include "lb/loader.h"
#include "lb/log.h"
#include "lb/notice.h"
#include "lb/runtime.h"
#include "lb/stop.h"
#include "lb/supervisor.h"
#include "lb/watcher.h"

#include <errno.h>
#include <signal.h>
#include <string.h>

/* What keeps its value until a restart. */
static void
warn_kept(const struct reload *reload, const struct snapshot *snapshot, struct report *report)
{
	const char *advice = "keeps its value until a restart";
	if (snapshot->workers != reload->first->workers)
		report_warning(report, snapshot->file, 0, "workers %s", advice);
	if (snapshot->engine != reload->first->engine)
		report_warning(report, snapshot->file, 0, "engine %s", advice);
	if (strcmp(snapshot->hostname, reload->first->hostname) != 0)
		report_warning(report, snapshot->file, 0, "hostname %s", advice);
	if (strcmp(snapshot->user, reload->first->user) != 0)
		report_warning(report, snapshot->file, 0, "user %s", advice);
}

static int
apply(struct reload *reload, struct snapshot *snapshot, struct report *report)
{
	struct change change;
	if (change_prepare(&change, reload->serving, snapshot, report) < 0)
		return -1;
	change_commit(&change, reload->serving);
	return 0;
}

/* What had no memory to be read may have it the next time. */
static void
tell_refused(struct reload *reload, const struct sources *read)
{
	if (read->count)
		watcher_refused(reload->serving->watcher, read);
	else
		watcher_again(reload->serving->watcher);
}

/* A reload that was asked for tells what keeps its value; one for the sake of a list, which was
 * read again with the configuration of before, has told it then. */
static void
on_loaded(void *context, const struct loaded *loaded)
{
	struct reload *reload = context;
	struct snapshot *snapshot = loaded->snapshot;
	if (loaded->overtaken) {
		watcher_again(reload->serving->watcher);
		admin_load_ended(reload->serving->admin, false, loaded->report);
		return;
	}
	if (snapshot && !reload->stop->begun && apply(reload, snapshot, loaded->report) == 0) {
		notice_config(LOG_LEVEL_INFO, "reloaded",
			loaded->changed ? loaded->changed : reload->file);
		if (!loaded->changed)
			warn_kept(reload, snapshot, loaded->report);
	} else if (loaded->changed) {
		tell_refused(reload, snapshot ? &snapshot->sources : &loaded->refused);
	}
	if (snapshot && reload->stop->begun)
		report_error(loaded->report, reload->file, 0, "not put into force: %s",
			reload->stop->retired ? "another process has taken over" : "it stops");
	if (loaded->report->errors)
		reload->serving->refused = true;
	notice_log(loaded->report);
	admin_load_ended(reload->serving->admin, !loaded->changed, loaded->report);
	if (!loaded->changed && !reload->stop->begun)
		supervisor_ready("Serving");
	snapshot_unref(snapshot);
}

static void
refuse_load(struct reload *reload, const char *path)
{
	struct report report;
	report_init(&report);
	report_error(&report, path, 0, "can't be loaded: %s", strerror(errno));
	reload->serving->refused = true;
	notice_log(&report);
	report_fini(&report);
}

static void
on_changed(void *context, const char *path, struct sources *seen)
{
	struct reload *reload = context;
	if (reload->stop->begun)
		return;
	struct snapshot *snapshot = reload->serving->runtime->snapshot;
	if (loader_read_again(reload->loader, snapshot, path, seen) == 0)
		return;
	if (errno != EBUSY)
		refuse_load(reload, path);
	watcher_again(reload->serving->watcher);
}

static int
begin(const struct reload *reload)
{
	if (loader_start(reload->loader) < 0)
		return -1;
	supervisor_reloading();
	return 0;
}

static void
on_hup(struct ev_loop *loop, ev_signal *watcher, int ready)
{
	(void)loop;
	(void)ready;
	struct reload *reload = watcher->data;
	if (!reload->stop->begun && begin(reload) < 0)
		refuse_load(reload, reload->file);
}

int
reload_init(struct reload *reload, struct ev_loop *loop, struct serving *serving, const char *file,
	const struct stop *stop, const struct snapshot *first)
{
	*reload = (struct reload){
		.loop = loop,
		.serving = serving,
		.file = file,
		.stop = stop,
		.first = first,
		.loader = loader_new(loop, file, on_loaded, reload),
	};
	ev_signal_init(&reload->hup, on_hup, SIGHUP);
	reload->hup.data = reload;
	serving->watcher = watcher_new(loop, on_changed, reload);
	return reload->loader && serving->watcher ? 0 : -1;
}

void
reload_fini(struct reload *reload)
{
	if (reload->loader)
		loader_free(reload->loader);
	if (reload->serving && reload->serving->watcher)
		watcher_free(reload->serving->watcher);
}

void
reload_watch(struct reload *reload)
{
	ev_signal_start(reload->loop, &reload->hup);
}

bool
reload_is_under_way(const struct reload *reload)
{
	return loader_is_running(reload->loader);
}

int
reload_order(struct reload *reload, bool *behind)
{
	*behind = loader_is_running(reload->loader);
	if (reload->stop->begun) {
		errno = ESHUTDOWN;
		return -1;
	}
	return begin(reload);
}

/*
 * The loader thread. What it works on is handed over by thread creation and the ev_async that ends
 * it: between the two it is the thread's, otherwise the main thread's. Where the two part for good,
 * the thread through or the loader freed, the second to go takes what is left with it.
 */
#include "lb/loader.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

struct loader {
	struct ev_loop *loop;
	const char *file;
	loader_done_fn *done;
	void *context;
	ev_async finished;
	pthread_t thread;
	atomic_bool parted; /* one of the two is through with it */
	bool running;
	bool again;            /* the main thread's always */
	struct snapshot *base; /* to be read anew; NULL: the file is loaded */
	char *changed;
	struct sources seen;
	struct report report;
	struct loaded loaded;
};

static void
read_again(struct loader *loader)
{
	struct loaded *loaded = &loader->loaded;
	loaded->snapshot = snapshot_again(loader->base, &loaded->refused, &loader->report);
	const struct sources *read =
		loaded->snapshot ? &loaded->snapshot->sources : &loaded->refused;
	if (read->count == 0) /* no memory */
		return;
	if (sources_agree(&loader->seen, read) && sources_are_unchanged(read))
		return;
	loaded->overtaken = true;
	snapshot_unref(loaded->snapshot);
	loaded->snapshot = NULL;
}

static void
settle(struct loader *loader)
{
	loader->running = false;
	report_fini(&loader->report);
	sources_fini(&loader->loaded.refused);
	sources_fini(&loader->seen);
	snapshot_unref(loader->base);
	loader->base = NULL;
	free(loader->changed);
	loader->changed = NULL;
}

/* Nobody is told. */
static void
drop(struct loader *loader)
{
	snapshot_unref(loader->loaded.snapshot);
	settle(loader);
	free(loader);
}

static void *
load(void *argument)
{
	struct loader *loader = argument;
	/* Sessions come first. Refused it only disturbs them more. */
	pthread_setschedparam(pthread_self(), SCHED_IDLE, &(struct sched_param){0});
	if (loader->base)
		read_again(loader);
	else
		loader->loaded.snapshot = snapshot_load(loader->file, &loader->report);
	if (atomic_exchange(&loader->parted, true))
		drop(loader);
	else
		ev_async_send(loader->loop, &loader->finished);
	return NULL;
}

static int
begin(struct loader *loader)
{
	report_init(&loader->report);
	loader->loaded = (struct loaded){.report = &loader->report, .changed = loader->changed};
	atomic_store(&loader->parted, false);
	int error = pthread_create(&loader->thread, NULL, load, loader);
	loader->running = error == 0;
	if (error)
		settle(loader);
	errno = error;
	return error ? -1 : 0;
}

int
loader_start(struct loader *loader)
{
	if (!loader->running)
		return begin(loader);
	loader->again = true;
	return 0;
}

bool
loader_is_running(const struct loader *loader)
{
	return loader->running;
}

int
loader_read_again(
	struct loader *loader, struct snapshot *snapshot, const char *changed, struct sources *seen)
{
	if (loader->running) {
		errno = EBUSY;
		return -1;
	}
	loader->changed = strdup(changed);
	if (!loader->changed)
		return -1;
	loader->base = snapshot_ref(snapshot);
	loader->seen = *seen;
	sources_init(seen);
	return begin(loader);
}

/* The load of the file that was asked for during another. */
static void
begin_again(struct loader *loader)
{
	loader->again = false;
	if (begin(loader) == 0)
		return;
	struct report report;
	report_init(&report);
	report_error(&report, loader->file, 0, "can't load it: %s", strerror(errno));
	loader->done(loader->context, &(struct loaded){.report = &report});
	report_fini(&report);
}

static void
on_finished(struct ev_loop *loop, ev_async *finished, int ready)
{
	(void)loop;
	(void)ready;
	struct loader *loader = finished->data;
	pthread_join(loader->thread, NULL);
	loader->done(loader->context, &loader->loaded);
	settle(loader);
	if (loader->again)
		begin_again(loader);
}

struct loader *
loader_new(struct ev_loop *loop, const char *file, loader_done_fn *done, void *context)
{
	struct loader *loader = calloc(1, sizeof(*loader));
	if (!loader)
		return NULL;
	loader->loop = loop;
	loader->file = file;
	loader->done = done;
	loader->context = context;
	ev_async_init(&loader->finished, on_finished);
	loader->finished.data = loader;
	ev_async_start(loop, &loader->finished);
	return loader;
}

void
loader_free(struct loader *loader)
{
	pthread_t thread = loader->thread;
	ev_async_stop(loader->loop, &loader->finished);
	if (!loader->running) {
		free(loader);
	} else if (atomic_exchange(&loader->parted, true)) {
		pthread_join(thread, NULL);
		drop(loader);
	} else {
		pthread_detach(thread);
	}
}

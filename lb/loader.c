/*
 * The loader thread. Its fields are handed over by thread creation and the ev_async that ends it:
 * between the two they are the thread's, otherwise the main thread's.
 */
#include "lb/loader.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

struct loader {
	struct ev_loop *loop;
	const char *file;
	loader_done_fn *done;
	void *context;
	ev_async finished;
	pthread_t thread;
	bool running;
	bool again;
	struct report report;
	struct snapshot *snapshot;
};

static void *
load(void *argument)
{
	struct loader *loader = argument;
	loader->snapshot = snapshot_load(loader->file, &loader->report);
	ev_async_send(loader->loop, &loader->finished);
	return NULL;
}

int
loader_start(struct loader *loader)
{
	if (loader->running) {
		loader->again = true;
		return 0;
	}
	report_init(&loader->report);
	int error = pthread_create(&loader->thread, NULL, load, loader);
	if (error) {
		report_fini(&loader->report);
		errno = error;
		return -1;
	}
	loader->running = true;
	return 0;
}

/* The reload that was asked for during a load. */
static void
begin_again(struct loader *loader)
{
	if (loader_start(loader) == 0)
		return;
	report_init(&loader->report);
	report_error(&loader->report, loader->file, 0, "can't load it: %s", strerror(errno));
	loader->done(loader->context, NULL, &loader->report);
	report_fini(&loader->report);
}

static void
on_finished(struct ev_loop *loop, ev_async *finished, int ready)
{
	(void)loop;
	(void)ready;
	struct loader *loader = finished->data;
	pthread_join(loader->thread, NULL);
	loader->running = false;
	loader->done(loader->context, loader->snapshot, &loader->report);
	report_fini(&loader->report);
	if (loader->again) {
		loader->again = false;
		begin_again(loader);
	}
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
	ev_async_stop(loader->loop, &loader->finished);
	if (loader->running)
		pthread_detach(loader->thread);
	else
		free(loader);
}

/*
 * The watching thread and its mailbox. All functions are the main thread's but those below `run`;
 * the mutex guards what the two share and is never held during a look.
 */
#include "lb/watcher.h"

#include "acl/mem.h"
#include "lb/clock.h"
#include "lb/watch.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

enum {
	LOOK_S = 1, /* from one look to the next */
};

struct watcher {
	struct ev_loop *loop;
	watcher_changed_fn *changed;
	void *context;
	ev_async told;
	pthread_t thread;
	struct watch *watch; /* the thread's; NULL = nothing is watched yet */

	pthread_mutex_t mutex; /* for all that follows */
	pthread_cond_t posted;
	bool started;
	bool stopping;
	bool looking; /* the thread is inside a look */
	/* For the thread. */
	struct watch *fresh; /* to be watched instead */
	bool refused;
	struct sources read; /* by the load that was refused */
	bool again;
	/* For the main thread. */
	char *path; /* of what has changed; NULL = no news */
	struct sources seen;
};

static void
drop_news(struct watcher *watcher)
{
	free(watcher->path);
	watcher->path = NULL;
	sources_fini(&watcher->seen);
}

static void
drop_refusal(struct watcher *watcher)
{
	watcher->refused = false;
	sources_fini(&watcher->read);
}

/* The thread; all but `look` with the mutex held. */

static void
take_post(struct watcher *watcher)
{
	if (watcher->fresh) {
		watch_free(watcher->watch);
		watcher->watch = watcher->fresh;
		watcher->fresh = NULL;
	}
	if (watcher->refused)
		watch_refused(watcher->watch, &watcher->read);
	drop_refusal(watcher);
	if (watcher->again)
		watch_again(watcher->watch);
	watcher->again = false;
}

static const char *
look(struct watch *watch)
{
	uint64_t began_ms = clock_ms();
	for (size_t i = 0; i < watch->count; i++) {
		struct file_stamp stamp = file_stamp_read(watch->files[i].path);
		watch_see(watch, i, &stamp);
	}
	return watch_due(watch, began_ms, clock_ms());
}

static void
tell(struct watcher *watcher, const char *path)
{
	drop_news(watcher);
	if (mem_load_begin() == 0) {
		watcher->path = mem_text(path);
		watch_note(watcher->watch, &watcher->seen);
		if (mem_load_end() < 0)
			drop_news(watcher);
	}
	if (!watcher->path) {
		watch_again(watcher->watch);
		return;
	}
	ev_async_send(watcher->loop, &watcher->told);
}

/* Waits for the next look; where nothing is watched, for something to watch. */
static void
await_look(struct watcher *watcher)
{
	struct timespec when;
	clock_gettime(CLOCK_MONOTONIC, &when);
	when.tv_sec += LOOK_S;
	int waited = 0;
	while (!watcher->stopping && waited == 0) {
		if (watcher->watch && watcher->watch->count > 0)
			waited = pthread_cond_clockwait(
				&watcher->posted, &watcher->mutex, CLOCK_MONOTONIC, &when);
		else if (watcher->fresh)
			break;
		else
			pthread_cond_wait(&watcher->posted, &watcher->mutex);
	}
}

static void *
run(void *argument)
{
	struct watcher *watcher = argument;
	pthread_mutex_lock(&watcher->mutex);
	while (await_look(watcher), !watcher->stopping) {
		take_post(watcher);
		watcher->looking = true;
		pthread_mutex_unlock(&watcher->mutex);
		const char *path = look(watcher->watch);
		pthread_mutex_lock(&watcher->mutex);
		watcher->looking = false;
		if (path && !watcher->fresh && !watcher->stopping)
			tell(watcher, path);
	}
	pthread_mutex_unlock(&watcher->mutex);
	return NULL;
}

/* The main thread. */

static void
on_told(struct ev_loop *loop, ev_async *told, int ready)
{
	(void)loop;
	(void)ready;
	struct watcher *watcher = told->data;
	pthread_mutex_lock(&watcher->mutex);
	char *path = watcher->path;
	struct sources seen = watcher->seen;
	watcher->path = NULL;
	sources_init(&watcher->seen);
	pthread_mutex_unlock(&watcher->mutex);
	if (path)
		watcher->changed(watcher->context, path, &seen);
	sources_fini(&seen);
	free(path);
}

struct watcher *
watcher_new(struct ev_loop *loop, watcher_changed_fn *changed, void *context)
{
	struct watcher *watcher = calloc(1, sizeof(*watcher));
	if (!watcher)
		return NULL;
	watcher->loop = loop;
	watcher->changed = changed;
	watcher->context = context;
	pthread_mutex_init(&watcher->mutex, NULL);
	pthread_cond_init(&watcher->posted, NULL);
	ev_async_init(&watcher->told, on_told);
	watcher->told.data = watcher;
	ev_async_start(loop, &watcher->told);
	return watcher;
}

int
watcher_start(struct watcher *watcher)
{
	int error = pthread_create(&watcher->thread, NULL, run, watcher);
	watcher->started = error == 0;
	errno = error;
	return error ? -1 : 0;
}

void
watcher_free(struct watcher *watcher)
{
	ev_async_stop(watcher->loop, &watcher->told);
	pthread_mutex_lock(&watcher->mutex);
	watcher->stopping = true;
	pthread_cond_signal(&watcher->posted);
	bool looking = watcher->looking;
	pthread_mutex_unlock(&watcher->mutex);
	if (looking) {
		pthread_detach(watcher->thread);
		return;
	}
	if (watcher->started)
		pthread_join(watcher->thread, NULL);
	drop_news(watcher);
	drop_refusal(watcher);
	watch_free(watcher->fresh);
	watch_free(watcher->watch);
	pthread_cond_destroy(&watcher->posted);
	pthread_mutex_destroy(&watcher->mutex);
	free(watcher);
}

void
watcher_watch(struct watcher *watcher, struct watch *watch)
{
	pthread_mutex_lock(&watcher->mutex);
	watch_free(watcher->fresh);
	watcher->fresh = watch;
	watcher->again = false;
	drop_refusal(watcher);
	drop_news(watcher);
	pthread_cond_signal(&watcher->posted);
	pthread_mutex_unlock(&watcher->mutex);
}

void
watcher_refused(struct watcher *watcher, const struct sources *read)
{
	pthread_mutex_lock(&watcher->mutex);
	drop_refusal(watcher);
	watcher->refused = mem_load_begin() == 0;
	if (watcher->refused) {
		for (size_t i = 0; i < read->count && !mem_load_failed(); i++)
			sources_note(&watcher->read, read->items[i].path, &read->items[i].stamp);
		watcher->refused = mem_load_end() == 0;
	}
	if (!watcher->refused) {
		drop_refusal(watcher);
		watcher->again = true;
	}
	pthread_mutex_unlock(&watcher->mutex);
}

void
watcher_again(struct watcher *watcher)
{
	pthread_mutex_lock(&watcher->mutex);
	watcher->again = true;
	pthread_mutex_unlock(&watcher->mutex);
}

/*
 * See waker.h.
 */
#include "lb/io/waker.h"

static void
on_sleep(struct ev_loop *loop)
{
	struct waker *waker = ev_userdata(loop);
	if (ev_pending_count(loop) > 0)
		ev_async_send(loop, &waker->wake);
}

static void
on_wake(struct ev_loop *loop, ev_async *wake, int ready)
{
	(void)loop;
	(void)wake;
	(void)ready;
}

void
waker_init(struct waker *waker, struct ev_loop *loop)
{
	waker->loop = loop;
	ev_async_init(&waker->wake, on_wake);
	ev_async_start(loop, &waker->wake);
	ev_unref(loop); /* it keeps no loop running */
	ev_set_userdata(loop, waker);
	ev_set_loop_release_cb(loop, on_sleep, NULL);
}

void
waker_fini(struct waker *waker)
{
	ev_set_loop_release_cb(waker->loop, NULL, NULL);
	ev_ref(waker->loop);
	ev_async_stop(waker->loop, &waker->wake);
}

/*
 * Wakes a loop that goes to sleep over news of its own. libev says by an event (EV_ERROR) that it
 * has no memory to watch a descriptor, but finds out on its way to sleep, and would tell it only
 * when something else has woken it, perhaps minutes later. The loop's thread.
 */
#ifndef LB_IO_WAKER_H
#define LB_IO_WAKER_H

#include <ev.h>

struct waker {
	struct ev_loop *loop;
	ev_async wake;
};

/* One a loop, whose user data and release callback it takes. Must outlive the loop's last run, and
 * stay where it is. */
void waker_init(struct waker *waker, struct ev_loop *loop);
void waker_fini(struct waker *waker);

#endif

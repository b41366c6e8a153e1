/*
 * Workers: inbox, and the list of sessions with the one place where they are freed.
 * Everything but the inbox is touched by the worker's own thread only once it runs.
 */
#include "lb/worker.h"

#include "lb/leave.h"
#include "lb/session.h"
#include "lb/session_list.h"
#include "lb/view.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/random.h>
#include <unistd.h>

/* What the main thread wants done, several at once. */
enum order {
	ORDER_LOOK = 1 << 0,
	ORDER_DRAIN = 1 << 1,
	ORDER_RETIRE = 1 << 2,
	ORDER_STOP = 1 << 3,
	ORDER_CUT_LATE = 1 << 4,
	ORDER_CUT = 1 << 5,
};

struct worker {
	struct worker_shared *shared;
	unsigned index;
	pthread_t thread;
	bool started;
	struct ev_loop *loop;
	struct io io;
	struct denials denials;
	struct deadlines deadlines;
	struct view *view; /* the current one; NULL before the first and once retired */
	ev_prepare reaper;
	uint64_t id_base, id_count;
	unsigned lingering;
	int reserve_fd;               /* -1 = not held */
	bool retired;                 /* accepts no more */
	bool stopping;                /* and wants its sessions gone */
	bool late;                    /* and past its time */
	struct session *first, *last; /* running, oldest first */
	struct session *dead;

	/* The inbox. */
	ev_async wake;
	pthread_mutex_t mutex;
	pthread_cond_t answered; /* for who waits until the thread has done something */
	struct view *new_view;   /* NULL once it is the current one */
	unsigned orders;         /* by enum order; those that it has not begun yet */
	struct session_list *wants_list;
	bool begun;
	int begin_error; /* why it could not; 0 = it could */
	bool ended;
};

bool
worker_take_room(struct worker *worker)
{
	struct worker_shared *shared = worker->shared;
	uint64_t max = __atomic_load_n(&shared->max_sessions, __ATOMIC_RELAXED);
	if (__atomic_add_fetch(&shared->sessions, 1, __ATOMIC_RELAXED) <= max)
		return true;
	worker_give_room(worker);
	return false;
}

void
worker_give_room(struct worker *worker)
{
	__atomic_sub_fetch(&worker->shared->sessions, 1, __ATOMIC_RELAXED);
}

bool
worker_take_linger(struct worker *worker)
{
	if (worker->lingering == worker->shared->max_lingering)
		return false;
	worker->lingering++;
	return true;
}

void
worker_give_linger(struct worker *worker)
{
	worker->lingering--;
}

bool
worker_free_reserve(struct worker *worker)
{
	if (worker->reserve_fd < 0)
		return false;
	close(worker->reserve_fd);
	worker->reserve_fd = -1;
	return true;
}

bool
worker_hold_reserve(struct worker *worker)
{
	if (worker->reserve_fd < 0)
		worker->reserve_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	return worker->reserve_fd >= 0;
}

struct io *
worker_io(struct worker *worker)
{
	return &worker->io;
}

struct deadlines *
worker_deadlines(struct worker *worker)
{
	return &worker->deadlines;
}

struct denials *
worker_denials(struct worker *worker)
{
	return &worker->denials;
}

struct denied *
worker_denied(struct worker *worker)
{
	return worker->denials.sources;
}

struct view *
worker_view(const struct worker *worker)
{
	return worker->view;
}

bool
worker_is_stopping(const struct worker *worker)
{
	return worker->stopping;
}

bool
worker_is_late(const struct worker *worker)
{
	return worker->late;
}

unsigned
worker_index(const struct worker *worker)
{
	return worker->index;
}

const char *
worker_hostname(const struct worker *worker)
{
	return worker->shared->hostname;
}

/* The list of sessions. */

/* Spreads a counter over 64 bits; one to one, so that no id comes twice. The mixing function of
 * splitmix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators, 2014). */
static uint64_t
mix(uint64_t x)
{
	x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
	return x ^ (x >> 31);
}

uint64_t
worker_add(struct worker *worker, struct session *session)
{
	session->prev = worker->last;
	if (worker->last)
		worker->last->next = session;
	else
		worker->first = session;
	worker->last = session;
	view_ref(session->view);
	return mix(worker->id_base + worker->id_count++);
}

void
worker_remove(struct worker *worker, struct session *session)
{
	if (session->prev)
		session->prev->next = session->next;
	else
		worker->first = session->next;
	if (session->next)
		session->next->prev = session->prev;
	else
		worker->last = session->prev;
	session->next = worker->dead;
	worker->dead = session;
}

/* Before the loop sleeps no callback is on the stack: the dead can go. */
static void
on_reap(struct ev_loop *loop, ev_prepare *reaper, int ready)
{
	(void)ready;
	struct worker *worker = reaper->data;
	if (worker->dead && worker->view)
		view_resume(worker->view);
	struct session **at = &worker->dead;
	while (*at) {
		struct session *session = *at;
		if (!conn_is_at_rest(&session->client) || !conn_is_at_rest(&session->backend)) {
			at = &session->next;
			continue;
		}
		*at = session->next;
		view_unref(session->view);
		free(session);
	}
	if (worker->retired && !worker->first && !worker->dead)
		ev_break(loop, EVBREAK_ALL);
}

/* The inbox. */

/* Each may end thereby. */
static void
tell_each(struct worker *worker, void (*tell)(struct session *session))
{
	struct session *session = worker->first;
	while (session) {
		struct session *next = session->next;
		tell(session);
		session = next;
	}
}

static void
cut(struct worker *worker)
{
	while (worker->first)
		session_cut(worker->first);
}

static void
change_view(struct worker *worker, struct view *view)
{
	struct view *old = worker->view;
	worker->view = view;
	if (old)
		view_retire(old, view);
	view_start(view);
	pthread_mutex_lock(&worker->mutex);
	worker->new_view = NULL;
	pthread_cond_signal(&worker->answered);
	pthread_mutex_unlock(&worker->mutex);
}

static void
retire(struct worker *worker)
{
	struct view *old = worker->view;
	worker->retired = true;
	worker->view = NULL;
	if (old)
		view_retire(old, NULL);
}

static void
on_wake(struct ev_loop *loop, ev_async *wake, int ready)
{
	(void)loop;
	(void)ready;
	struct worker *worker = wake->data;
	pthread_mutex_lock(&worker->mutex);
	struct view *view = worker->new_view;
	unsigned orders = worker->orders;
	struct session_list *list = worker->wants_list;
	worker->orders = 0;
	worker->wants_list = NULL;
	pthread_mutex_unlock(&worker->mutex);
	if (view)
		change_view(worker, view);
	if (orders & ORDER_LOOK)
		tell_each(worker, session_look_again);
	if (orders & ORDER_DRAIN)
		tell_each(worker, leave_look_again);
	if ((orders & ORDER_RETIRE) && !worker->retired)
		retire(worker);
	if ((orders & ORDER_STOP) && !worker->stopping) {
		worker->stopping = true;
		tell_each(worker, session_hurry);
	}
	if ((orders & ORDER_CUT_LATE) && !worker->late) {
		worker->late = true;
		tell_each(worker, session_hurry);
	}
	if (orders & ORDER_CUT)
		cut(worker);
	if (list)
		session_list_fill(list, worker->first);
}

static void
order(struct worker *worker, unsigned orders)
{
	pthread_mutex_lock(&worker->mutex);
	worker->orders |= orders;
	pthread_mutex_unlock(&worker->mutex);
	ev_async_send(worker->loop, &worker->wake);
}

void
worker_install(struct worker *worker, struct view *view)
{
	pthread_mutex_lock(&worker->mutex);
	worker->new_view = view;
	ev_async_send(worker->loop, &worker->wake);
	while (worker->new_view)
		pthread_cond_wait(&worker->answered, &worker->mutex);
	pthread_mutex_unlock(&worker->mutex);
}

void
worker_look_again(struct worker *worker)
{
	order(worker, ORDER_LOOK);
}

void
worker_drain(struct worker *worker)
{
	order(worker, ORDER_DRAIN);
}

bool
worker_list(struct worker *worker, struct session_list *list)
{
	pthread_mutex_lock(&worker->mutex);
	bool ended = worker->ended;
	if (!ended)
		worker->wants_list = list;
	pthread_mutex_unlock(&worker->mutex);
	ev_async_send(worker->loop, &worker->wake);
	return !ended;
}

void
worker_retire(struct worker *worker)
{
	order(worker, ORDER_RETIRE);
}

void
worker_stop(struct worker *worker)
{
	order(worker, ORDER_RETIRE | ORDER_STOP);
}

void
worker_cut_late(struct worker *worker)
{
	order(worker, ORDER_CUT_LATE);
}

void
worker_cut(struct worker *worker)
{
	order(worker, ORDER_CUT);
}

/* The thread. */

struct worker *
worker_new(struct worker_shared *shared, unsigned index)
{
	struct worker *worker = calloc(1, sizeof(*worker));
	if (!worker)
		return NULL;
	worker->shared = shared;
	worker->index = index;
	worker->reserve_fd = -1;
	if (!worker_hold_reserve(worker) ||
		getrandom(&worker->id_base, sizeof(worker->id_base), 0) < 0)
		goto fail;
	worker->loop = ev_loop_new(EVFLAG_AUTO);
	if (!worker->loop)
		goto fail;
	if (io_init(&worker->io, worker->loop, shared->engine) < 0) {
		ev_loop_destroy(worker->loop);
		goto fail;
	}
	if (denials_init(&worker->denials, worker->loop, &shared->denials) < 0) {
		io_fini(&worker->io);
		ev_loop_destroy(worker->loop);
		goto fail;
	}
	deadlines_init(&worker->deadlines, worker->loop, session_pass_deadline);
	pthread_mutex_init(&worker->mutex, NULL);
	pthread_cond_init(&worker->answered, NULL);
	ev_async_init(&worker->wake, on_wake);
	worker->wake.data = worker;
	ev_async_start(worker->loop, &worker->wake);
	ev_prepare_init(&worker->reaper, on_reap);
	worker->reaper.data = worker;
	ev_prepare_start(worker->loop, &worker->reaper);
	return worker;
fail:
	worker_free_reserve(worker);
	free(worker);
	return NULL;
}

static void *
run(void *argument)
{
	struct worker *worker = argument;
	int error = io_start(&worker->io) < 0 ? errno : 0;
	pthread_mutex_lock(&worker->mutex);
	worker->begun = true;
	worker->begin_error = error;
	pthread_cond_signal(&worker->answered);
	pthread_mutex_unlock(&worker->mutex);
	if (error)
		return NULL;
	ev_run(worker->loop, 0);
	io_settle(&worker->io);
	pthread_mutex_lock(&worker->mutex);
	struct session_list *list = worker->wants_list;
	worker->ended = true;
	pthread_mutex_unlock(&worker->mutex);
	if (list)
		session_list_fill(list, NULL);
	denials_stop(&worker->denials);
	worker->shared->on_stopped(worker->shared->context);
	return NULL;
}

int
worker_start(struct worker *worker)
{
	int error = pthread_create(&worker->thread, NULL, run, worker);
	if (error) {
		errno = error;
		return -1;
	}
	pthread_mutex_lock(&worker->mutex);
	while (!worker->begun)
		pthread_cond_wait(&worker->answered, &worker->mutex);
	error = worker->begin_error;
	pthread_mutex_unlock(&worker->mutex);
	if (error) {
		pthread_join(worker->thread, NULL);
		errno = error;
		return -1;
	}
	worker->started = true;
	return 0;
}

void
worker_free(struct worker *worker)
{
	if (worker->started)
		pthread_join(worker->thread, NULL);
	ev_prepare_stop(worker->loop, &worker->reaper);
	ev_async_stop(worker->loop, &worker->wake);
	io_fini(&worker->io);
	denials_fini(&worker->denials);
	deadlines_fini(&worker->deadlines);
	worker_free_reserve(worker);
	ev_loop_destroy(worker->loop);
	pthread_cond_destroy(&worker->answered);
	pthread_mutex_destroy(&worker->mutex);
	free(worker);
}

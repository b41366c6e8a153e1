/*
 * A pool of backends: whose turn it is, who waits for one, and what its backends' greetings and
 * probes say. Known by its name, it outlives the snapshots, and its backends keep their state over
 * a reload.
 *
 * Any thread may call these functions; the pool's mutex guards the pool and its backends and is
 * never held over a callback.
 */
#ifndef LB_POOL_H
#define LB_POOL_H

#include "acl/addr.h"
#include "conf/snapshot.h"
#include "lb/backend.h"
#include "lb/claim.h"

#include <stdbool.h>
#include <stdint.h>

/* Called, from any thread, when claims that wait have been called (pool_has_called): a backend may
 * take them, or the moment of the next trial has changed. */
typedef void pool_usable_fn(void *context);

/* An empty pool with one reference, for so many workers; NULL when there is no memory. */
struct pool *pool_new(const char *name, unsigned workers, pool_usable_fn *on_usable, void *context);
struct pool *pool_ref(struct pool *pool);
void pool_unref(struct pool *pool);

const char *pool_name(const struct pool *pool);

/* New members, weights and settings, in two steps: what can fail, and what can't. One thread at a
 * time prepares and commits. */
struct pool_change {
	const struct pool_conf *conf; /* must outlive the change, as the pool must */
	struct pool *pool;
	struct backend **fresh; /* by index in conf; NULL where an old member stays */
};
int pool_change_prepare(
	struct pool_change *change, struct pool *pool, const struct pool_conf *conf);
void pool_change_drop(struct pool_change *change);
void pool_change_commit(struct pool_change *change, struct pool *pool);

/* A probe of a backend has ended; counts it. Main thread. */
void pool_count_probe(struct pool *pool, const char *backend, bool ok);

/* What it said, to be shown as the latest one; unknown backends are ignored. */
void pool_note_probe(struct pool *pool, const char *backend, const struct addr *address, bool ok,
	const char *detail);

/* What the probes say of a backend; unknown ones are ignored. detail is for the log. */
void pool_probed(struct pool *pool, const char *backend, const struct addr *address, bool up,
	const char *detail);

/* Orders a backend's admin state. What is open when it leaves ADMIN_READY has drain_ms to end.
 * Returns 0, or -1 when there is no such backend. */
int pool_order(struct pool *pool, const char *backend, enum admin_state state, uint64_t drain_ms);

/* What a backend is to go on with, as the process before has left it. */
struct backend_record {
	const char *name;
	struct addr address;
	enum admin_state state;
	uint64_t cut_at_ms;        /* clock_ms; 0 = none */
	uint64_t since_ms;         /* wall_ms */
	const char *probe_why;     /* its probes keep it down; NULL: they don't */
	const char *greetings_why; /* likewise its greetings */
};

/* Without a line in the log: nothing has changed. An unknown backend is ignored. */
void pool_restore(struct pool *pool, const struct backend_record *record);

/* When the next of its backends' drains is over, by clock_ms; 0 for none that is not over yet. */
uint64_t pool_next_cut(struct pool *pool);

/* Whether what is open with a backend is to end, and whether it has had its time for that. Any
 * thread, without the mutex. */
bool pool_is_draining(const struct backend *backend);
bool pool_drain_is_over(const struct backend *backend);

struct pick {
	struct backend *backend; /* referenced and counted until pool_release */
	unsigned mark;           /* for struct tried */
	uint16_t port;           /* 0 = the port on which the client reached the listener */
	bool trial;              /* a backend that is out by its greetings has its chance */
};

enum pick_result {
	PICK_DONE,
	PICK_ALL_TRIED, /* some could take sessions, but this one has tried them all */
	PICK_NONE_FREE, /* some that it has not tried are full, or others wait longer for them */
	PICK_NONE_UP,   /* none can take a session now */
};

/* Chooses a backend that may take a session and is not among the tried, and marks it tried. The
 * backups have their turn only when no other backend is left. A backend never has more sessions,
 * attempts included, than its max_sessions.
 *
 * A session's first pick moves the pool's rotation on; its later ones are spread by weight on their
 * own. With anything but PICK_DONE the claim stands in the pool's line, where it keeps its place
 * until it picks or leaves: a backend that has room for one goes to whom has waited longest, of
 * those who have not tried it. *again_ms is the clock_ms at which a trial is due, 0 for none in
 * sight. */
enum pick_result pool_pick(
	struct pool *pool, struct claim *claim, struct pick *pick, uint64_t *again_ms);

/* For a session that would be refused otherwise: picks a backend that is out by its greetings
 * before its trial is due. Returns whether there is one. */
bool pool_pick_early_trial(struct pool *pool, struct claim *claim, struct pick *pick);

/* Whether a claim that waits should pick again. For the claim's worker. */
bool pool_has_called(const struct claim *claim);

/* Waits no longer. Must be called before a claim's memory goes; without effect outside the line. */
void pool_leave(struct pool *pool, struct claim *claim);

enum attempt_outcome {
	ATTEMPT_GREETED,   /* 220 */
	ATTEMPT_FAILED,    /* the backend gave none: the first such attempt of a session */
	ATTEMPT_REPEATED,  /* ... that session had failed with it before, which counts once */
	ATTEMPT_ABANDONED, /* says nothing about the backend: the client left, no descriptor, ... */
};

/* Tells how an attempt with a picked backend ended. `greeting_fall` sessions in a row that failed
 * take it out; it comes back by a trial at growing intervals, 1 s to 30 s. why is for the log. */
void pool_attempted(const struct pick *pick, enum attempt_outcome outcome, const char *why);

/* The session is done with a picked backend. */
void pool_release(struct backend *backend);

#endif

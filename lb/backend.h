/*
 * One backend as it lives: what is measured of it (up or down, by probes and by greetings) and what
 * is ordered. Known by its pool, its name and its address, it outlives the snapshots. No lock of
 * its own: its pool's mutex guards it.
 */
#ifndef LB_BACKEND_H
#define LB_BACKEND_H

#include "acl/addr.h"
#include "conf/snapshot.h"
#include "lb/recent.h"
#include "lb/trouble.h"

#include <stdbool.h>
#include <stdint.h>

enum admin_state {
	ADMIN_READY,
	ADMIN_DRAIN, /* no new sessions */
	ADMIN_MAINT, /* no new sessions and no probes */
};

const char *admin_state_name(enum admin_state state);
int admin_state_parse(enum admin_state *state, const char *name); /* 0, or -1 */

enum {
	BACKEND_WHY_MAX = 160, /* bytes: why it is out */
};

/* What the latest probe said. */
struct probe_note {
	uint64_t at_ms; /* by wall_ms; 0 = there was none */
	bool ok;
	char detail[BACKEND_WHY_MAX];
};

struct backend_record;
struct pool;
struct tally;

struct backend {
	struct pool *pool;
	char *name;
	struct tally *tally; /* of backend_counts (metrics.h), shared by all of that name */
	struct addr address; /* never changes, so that it is read without the mutex */
	uint64_t hash;       /* of its name, for the order by source (balance_source.h) */
	uint16_t port;       /* 0 = the port on which the client reached the listener */
	unsigned weight;
	unsigned max_sessions; /* 0 = no limit */
	bool backup;
	unsigned mark;   /* for struct tried; its own as long as it belongs to the pool */
	unsigned refs;   /* membership, and each session that uses it */
	unsigned active; /* sessions and attempts */
	struct backend *next_former;
	enum admin_state admin;
	uint64_t cut_at_ms; /* by clock_ms: its sessions have had their time; 0 = none; atomic */
	uint64_t since_ms;  /* up or down, since then; by wall_ms, for people */
	bool probe_up;
	char probe_why[BACKEND_WHY_MAX]; /* it is not */
	struct probe_note last_probe;
	/* By its greetings: out while suspended, and tried again by a session at trial_at_ms. */
	bool suspended;
	char suspended_why[BACKEND_WHY_MAX];
	bool trial_running;
	unsigned greetings_missed; /* by sessions in a row */
	uint64_t trial_at_ms;      /* by clock_ms */
	uint64_t trial_interval_ms;
	struct deferrals deferrals;      /* without the mutex */
	struct trouble troubles[STAGES]; /* the main thread's, without the mutex; likewise: */
	struct recent recent;
};

/* A backend with one reference, up and ready; NULL when there is no memory. It takes a reference of
 * the tally. */
struct backend *backend_new(
	struct pool *pool, const struct backend_conf *conf, struct tally *tally);
void backend_unref(struct backend *backend);

/* Nothing is measured or ordered yet: up and ready. */
void backend_reset(struct backend *backend);

/* What it was with the process before; that it was out by its greetings counts only where they
 * count, and it has its next trial at once. */
void backend_restore(
	struct backend *backend, const struct backend_record *record, bool greetings_count);

/* What the configuration says of it. */
void backend_configure(struct backend *backend, const struct backend_conf *conf);

bool backend_is_up(const struct backend *backend);

/* How many sessions more it may have; UINT_MAX without a limit. */
unsigned backend_room(const struct backend *backend);

/* Out only by its greetings, and no trial is under way: trial_at_ms tells when one is due. */
bool backend_awaits_trial(const struct backend *backend);

/* A session missed its greeting. Returns true when that takes the backend out. */
bool backend_miss_greeting(struct backend *backend, unsigned greeting_fall);

/* The next trial: soon, as after a sign of life; in a moment, where the last one said nothing; or
 * later than the last time, 30 s at most. */
void backend_schedule_first_trial(struct backend *backend, uint64_t after_ms);
void backend_repeat_trial(struct backend *backend);
void backend_postpone_trial(struct backend *backend);

#endif

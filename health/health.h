/*
 * Health checking of all backends: one checker a backend, each probing at its interval, spread so
 * that many backends are not probed at the same instant. Runs in the main thread's libev loop and
 * belongs to it; never blocks.
 *
 * A checker is keyed by pool name, backend name and backend address, and its state (up or down,
 * the count of rise or fall, the phase within the interval) survives health_configure as long as
 * the key does. A new one counts as up until `fall` probes failed, and its first probe goes out at
 * once (spread over a second at most when there are many). Checks of type none are always up.
 */
#ifndef HEALTH_HEALTH_H
#define HEALTH_HEALTH_H

#include "conf/snapshot.h"

#include <ev.h>
#include <stdbool.h>

struct health;

/* Why a probe failed: the `detail` of a health event starts with this word. */
enum probe_cause {
	PROBE_OK,
	PROBE_STATUS,    /* an HTTP status that is not in the list */
	PROBE_REFUSED,   /* connection refused, or unreachable */
	PROBE_RESET,     /* reset while connected */
	PROBE_CLOSED,    /* closed before a whole HTTP header or SMTP greeting */
	PROBE_TIMEOUT,   /* the one deadline over the whole probe passed */
	PROBE_MALFORMED, /* what came is not HTTP or no greeting, or never ends */
	PROBE_REPLY,     /* an SMTP greeting other than 220 */
	PROBE_TLS,       /* no TLS, or with whom we don't trust */
	PROBE_RESOURCES, /* no descriptor, port or memory here: counts neither for nor against */
};

const char *probe_cause_name(enum probe_cause cause);

/* What one finished probe said. detail: "status 503", "refused: Connection refused",
 * "reply: 421 too busy", "200": valid during the call only, already free of control bytes. */
struct probe_result {
	enum probe_cause cause;
	const char *detail;
};

/* Called from the loop, on_change also from within health_configure. Of this header they may call
 * health_is_up only. */
struct health_events {
	/* A backend went up or down by its probes, or up because it is probed no more (then the
	 * result is PROBE_OK, "no check"). */
	void (*on_change)(void *context, const char *pool, const char *backend,
		const struct addr *address, bool up, const struct probe_result *result);
	/* Any probe finished, before on_change; for counting. May be NULL. */
	void (*on_probe)(void *context, const char *pool, const char *backend,
		const struct addr *address, const struct probe_result *result);
};

/* NULL when there is no memory. */
struct health *health_new(struct ev_loop *loop, const struct health_events *events, void *context);
void health_free(struct health *health); /* stops every probe; calls back no more */

/* Makes room for the backends of this snapshot, so that health_configure can't fail: 0, or -1 when
 * there is no memory. What is not configured afterwards goes with the next configuration. */
int health_prepare(struct health *health, const struct snapshot *snapshot);

/* Prepares, where that was not done, and aborts when it can't. Takes the backends of this snapshot,
 * which stays referenced until the next call. What changed in a check holds from the next probe on;
 * a running one ends by the settings with which it began, and keeps their snapshot for so long.
 * Checkers that are no longer named are dropped without a call back. */
void health_configure(struct health *health, struct snapshot *snapshot);

/* Sends no probes to this backend, at whichever address, until it is told otherwise, then the next
 * at once; the verdict stays as it is meanwhile. Survives health_configure, as the checker does. */
void health_pause(struct health *health, const char *pool, const char *backend, bool paused);

/* Counts a backend as down, as somebody has found before: its probes must bring it up again. False,
 * and nothing done, when it is unknown or not probed. Calls nobody back. */
bool health_take_down(
	struct health *health, const char *pool, const char *backend, const struct addr *address);

/* The last verdict by probes; true for an unknown backend. */
bool health_is_up(const struct health *health, const char *pool, const char *backend,
	const struct addr *address);

#endif

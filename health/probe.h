/*
 * One probe of one backend: connect, say what the check says, read until its verdict falls, all
 * under one deadline that no trickle of bytes moves. Runs in the loop it was given and never
 * blocks.
 *
 * The caller owns the struct and may use it for one probe after the other. Until a probe has ended
 * it holds a reference to the snapshot that its check belongs to, and so ends by the settings with
 * which it began.
 *
 * A probe that had its answer takes leave (QUIT, for smtp) and lingers: what follows is read and
 * thrown away until the backend closes, so that its server is not reset in the middle of a small
 * page or reply and logs an ordinary request or session. Past PROBE_LINGER_MAX bytes, or the
 * deadline, the probe just closes.
 */
#ifndef HEALTH_PROBE_H
#define HEALTH_PROBE_H

#include "acl/addr.h"
#include "conf/snapshot.h"
#include "health/check.h"
#include "health/health.h"

#include <ev.h>
#include <stdbool.h>
#include <stddef.h>

enum {
	PROBE_LINGER_MAX = 65536,
};

enum probe_phase {
	PHASE_IDLE,
	PHASE_CONNECT, /* awaits the connection */
	PHASE_SEND,    /* awaits room for the rest of what is said */
	PHASE_SECURE,  /* awaits TLS */
	PHASE_REPLY,   /* awaits the answer */
	PHASE_LINGER,  /* the verdict is out; awaits the backend's close */
};

struct probe {
	struct ev_loop *loop;
	void (*done)(void *context, const struct probe_result *result);
	void *context;
	enum probe_phase phase;
	struct ev_io io; /* its fd is -1 without a socket */
	struct ev_timer deadline;
	struct snapshot *snapshot; /* with pool and backend; NULL when idle, as they */
	const struct pool_conf *pool;
	const struct backend_conf *backend;
	struct endpoint remote;
	struct check check;
	SSL *ssl;        /* where TLS was begun */
	bool headed;     /* the header, if there is one, has been sent */
	size_t sent;     /* bytes of it, or of the words that are said */
	size_t received; /* bytes of the answer */
	size_t lingered; /* bytes thrown away */
};

/* done is called once for each probe started, unless it is stopped first: perhaps from within
 * probe_start. It must not start or stop the probe. */
void probe_init(struct probe *probe, struct ev_loop *loop,
	void (*done)(void *context, const struct probe_result *result), void *context);

/* Starts a probe of one of the pool's backends by the pool's check, which is not of type none. Pool
 * and backend are the snapshot's. None may be running; one that lingers is cut. */
void probe_start(struct probe *probe, struct snapshot *snapshot, const struct pool_conf *pool,
	const struct backend_conf *backend);

/* Whether a verdict is still to come. */
bool probe_is_running(const struct probe *probe);

/* Ends it, whatever it is at, without a verdict. */
void probe_stop(struct probe *probe);

#endif

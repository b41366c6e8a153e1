/*
 * A session: a client's connection and the connection to the backend that serves it, from accept to
 * log line.
 *
 * Phases are named by what is awaited. SCREEN passes at once; RECV_PROXY is there only where a
 * header must come first (proxy_in.h), HANDSHAKE where TLS must (handshake.h); QUEUE to GREETING
 * are the gate's (gate.h), PUMP and FLUSH the pump's (pump.h). Which side is still open is kept in
 * the conns.
 *
 * A session belongs to its worker's thread. Closing marks it; its memory goes in one place, in the
 * worker, after the loop's outermost callback.
 */
#ifndef LB_SESSION_H
#define LB_SESSION_H

#include "acl/acl.h"
#include "acl/addr.h"
#include "conf/snapshot.h"
#include "lb/deadlines.h"
#include "lb/io/conn.h"
#include "lb/limits.h"
#include "lb/outcome.h"
#include "lb/pool.h"
#include "lb/tracker.h"
#include "lb/wire/reply.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct client;
struct gate;
struct proxy_reader;
struct starttls;
struct view;
struct worker;

enum phase {
	PHASE_SCREEN,
	PHASE_RECV_PROXY, /* the PROXY header of a source in front of us, or its leave */
	PHASE_HANDSHAKE,  /* the client's part of TLS, where it comes first (handshake.h) */
	PHASE_QUEUE,      /* a backend that is up and has room */
	PHASE_PAUSE,      /* the next round of attempts */
	PHASE_CONNECT,    /* the backend's connection */
	PHASE_GREETING,   /* the backend's 220 */
	PHASE_PUMP,       /* both sides' bytes */
	PHASE_FLUSH,      /* the last bytes' way out, and the other side's leave */
	PHASE_CLOSED,
};

enum {
	SESSION_ATTEMPTS_MAX = (1 << 14) - 1,
};

struct session {
	struct view *view; /* the configuration it began under, of its worker's */
	const struct listener_conf *listener;
	struct session *next, *prev; /* among the worker's sessions */
	struct conn client;
	struct conn backend;
	struct starttls *starttls; /* greeted, where the listener has TLS */
	struct backend *relay;     /* the backend that is used, or tried */
	struct endpoint source;    /* the client, as TCP or a PROXY header had it */
	struct deadline deadline;
	union {
		struct {                             /* Until it is greeted: */
			struct endpoint destination; /* the address it called, likewise */
			struct proxy_reader *header; /* in PHASE_RECV_PROXY, until it has come */
			struct gate *gate;           /* until the gate opens */
		};
		struct tracker tracker; /* Greeted, from when on this reads along */
	};
	struct client *counted; /* admitted, it is one of this client's; NULL for none */
	uint64_t deadline_ms;   /* DEADLINE_NEVER = none; `deadline` is no later than that */
	uint64_t id;
	uint64_t began_us;
	uint64_t touched_ms; /* when the pump last moved a byte */
	uint64_t bytes_in;   /* from the client */
	uint64_t bytes_out;  /* for the client, taken from the backend or our own */
	unsigned queue_ms;
	/* Of the attempt that succeeded, once greeted; of 71 minutes at most: all that came before
	 * its connection stood, in that how long connecting took, and from there to the 220. */
	uint32_t wait_us, connect_us, greeting_us;
	uint16_t listener_port; /* the port of ours that was called, */
	uint16_t relay_port;    /* and of the relay's */
	unsigned attempts : 14; /* up to SESSION_ATTEMPTS_MAX */
	enum phase phase : 4;
	enum session_result result : 4;
	enum session_end end : 2;
	bool decided : 1;  /* result and end stand */
	bool hurried : 1;  /* its descriptor is wanted: to be turned away, without lingering */
	bool has_room : 1; /* counts among max_sessions: not those turned away */
	bool admitted : 1; /* counts among the listener's and its client's */
	bool lingers : 1;  /* counted as such by the worker */
	bool greeted : 1;
	bool over_limit : 1; /* of messages: refused once what came before is answered */
	bool rests : 1;      /* the latest that a backend answered was a whole message */
};

static inline bool
session_is_in_gate(const struct session *session)
{
	return !session->greeted && session->gate;
}

static inline struct session *
session_of_client(struct conn *client)
{
	return (struct session *)((char *)client - offsetof(struct session, client));
}

static inline struct session *
session_of_backend(struct conn *backend)
{
	return (struct session *)((char *)backend - offsetof(struct session, backend));
}

/* Where its relay is, or was tried. For a session that has one. */
struct endpoint session_relay_endpoint(const struct session *session);

/* Begins a session on an accepted socket, which it owns from here on, between the addresses that
 * TCP knows. Sets no error: a session that
 * can't begin is closed, with a line in the log. */
void session_begin(struct worker *worker, struct view *view, const struct listener_conf *listener,
	int fd, const struct endpoint *source, const struct endpoint *destination);

/* The same where there is no descriptor for it to stay: it gets its reply and is closed at once. */
void session_turn_away(struct worker *worker, struct view *view,
	const struct listener_conf *listener, int fd, const struct endpoint *source,
	const struct endpoint *destination);

/* Asks the acl and the limits about the session's source, and lets it in or refuses it. */
void session_screen(struct session *session);

/* Lets an admitted session in, to the gate. */
void session_pass(struct session *session);

/* The one place where the phase changes. */
void session_set_phase(struct session *session, enum phase phase);

/* The phase's deadline is `after_ms` from now. */
void session_set_deadline(struct session *session, uint64_t after_ms);

/* The same by clock_ms; DEADLINE_NEVER for no deadline. */
void session_set_deadline_at(struct session *session, uint64_t deadline_ms);

/* For the worker's deadlines: this one of a session has passed. */
void session_pass_deadline(struct deadline *deadline);

/* A pool has called some of those who wait: a session in PHASE_QUEUE or PHASE_PAUSE looks again, if
 * it is one of them. */
void session_look_again(struct session *session);

/* Says why the session ends. The first reason stands, but for an end that was taken for orderly
 * until bytes for the backend had to be dropped: RESULT_OK gives way to RESULT_BACKEND_LOST. */
void session_decide(struct session *session, enum session_result result, enum session_end end);

/* Decides, gives the client a reply of ours and leaves, with the client still read until it has
 * gone, so that it gets the reply even if it has sent data. Where TLS comes first and does not
 * stand yet it is closed without one. */
void session_refuse(struct session *session, enum session_result result, enum reply reply);

/* Refuses it because of this limit, and tells: the one place where it is known which. */
void session_limit(struct session *session, enum limit limit);

/* Closes both sides now, writes the log line, and hands the memory back to the worker. */
void session_close(struct session *session);

/* The worker stops: no more is accepted, and who has not begun is not waited for. Or it has had its
 * time for that, and all who may be cut are. */
void session_hurry(struct session *session);

/* Cuts it from our side, whatever it is doing. */
void session_cut(struct session *session);

/* Whether the reply to a final dot, or to the last BDAT, is awaited, from a relay that may still
 * give it: nothing but INT or a second TERM may cut it then. */
bool session_awaits_final(const struct session *session);

#endif

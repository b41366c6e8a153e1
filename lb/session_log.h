/*
 * What the log says of a session, and the words for it. Worker's thread.
 */
#ifndef LB_SESSION_LOG_H
#define LB_SESSION_LOG_H

#include "lb/session.h"

enum {
	SESSION_ID_MAX = 17, /* 16 hexadecimal digits */
};

const char *session_id_format(const struct session *session, char buf[SESSION_ID_MAX]);

const char *phase_name(enum phase phase);

/* Where it stands with its backend: between messages or in one. NULL before that has greeted, and
 * once we have taken leave. */
const char *session_place_name(const struct session *session);

/* One that could not begin, for this errno. */
void session_log_failed_begin(
	const struct listener_conf *listener, const struct endpoint *source, int error);

/* Its phase has changed. */
void session_log_phase(const struct session *session);

/* Why a client did not get as far as its session: an event of this name. */
void session_log_fault(const struct session *session, const char *event, const char *why);

/* It is cut from our side in the middle of something. */
void session_log_cut(const struct session *session);

/* It has ended. */
void session_log_end(const struct session *session);

#endif

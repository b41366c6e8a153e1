/*
 * The limits that turn a client away, of a listener (limits.h) and of the daemon, and what it hears
 * of them.
 */
#ifndef LB_LIMIT_H
#define LB_LIMIT_H

#include "lb/metrics.h"
#include "lb/wire/reply.h"

enum limit {
	LIMIT_NONE,
	LIMIT_SESSIONS, /* the listener's */
	LIMIT_SESSIONS_PER_CLIENT,
	LIMIT_CONNECTS_PER_CLIENT,
	LIMIT_MESSAGES_PER_CLIENT,
	LIMIT_MAX_SESSIONS, /* the daemon's */
	LIMIT_RESOURCES,    /* no descriptors, no memory */
};

/* As the log names it: the key in the configuration, where it has one. Static. */
const char *limit_name(enum limit limit);

enum reply limit_reply(enum limit limit);

/* As the metrics count it. */
enum denial limit_denial(enum limit limit);

#endif

/*
 * Names and replies of the limits. No state.
 */
#include "lb/limit.h"

#include <stddef.h>

static const struct {
	const char *name;
	enum reply reply;
	enum denial denial;
} limits[] = {
	[LIMIT_SESSIONS] = {"sessions", REPLY_FULL, DENIAL_SESSIONS},
	[LIMIT_SESSIONS_PER_CLIENT] = {"sessions_per_client", REPLY_CONNECTIONS, DENIAL_SESSIONS},
	[LIMIT_CONNECTS_PER_CLIENT] = {"connects_per_client", REPLY_CONNECTIONS, DENIAL_CONNECTS},
	[LIMIT_MESSAGES_PER_CLIENT] = {"messages_per_client", REPLY_MESSAGES, DENIAL_MESSAGES},
	[LIMIT_MAX_SESSIONS] = {"max_sessions", REPLY_FULL, DENIAL_SESSIONS},
	[LIMIT_RESOURCES] = {"resources", REPLY_FULL, DENIAL_SESSIONS},
};

const char *
limit_name(enum limit limit)
{
	return limits[limit].name;
}

enum reply
limit_reply(enum limit limit)
{
	return limits[limit].reply;
}

enum denial
limit_denial(enum limit limit)
{
	return limits[limit].denial;
}

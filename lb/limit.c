/*
 * Names and replies of the limits. No state.
 */
#include "lb/limit.h"

#include <stddef.h>

static const struct {
	const char *name;
	enum reply reply;
} limits[] = {
	[LIMIT_SESSIONS] = {"sessions", REPLY_FULL},
	[LIMIT_SESSIONS_PER_CLIENT] = {"sessions_per_client", REPLY_CONNECTIONS},
	[LIMIT_CONNECTS_PER_CLIENT] = {"connects_per_client", REPLY_CONNECTIONS},
	[LIMIT_MESSAGES_PER_CLIENT] = {"messages_per_client", REPLY_MESSAGES},
	[LIMIT_MAX_SESSIONS] = {"max_sessions", REPLY_FULL},
	[LIMIT_RESOURCES] = {"resources", REPLY_FULL},
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

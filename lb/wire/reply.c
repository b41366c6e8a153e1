/*
 * Formats the replies that we give in our own name. Pure: any thread, the buffer is the caller's.
 */
#include "lb/wire/reply.h"

#include <stdio.h>
#include <string.h>

enum {
	ID_MAX = 64, /* bytes of a session id that are shown; ours are shorter */
};

static const struct {
	const char *code;
	const char *text;
} replies[] = {
	[REPLY_DENIED_421] = {"421 4.7.1", "access denied"},
	[REPLY_DENIED_554] = {"554 5.7.1", "access denied"},
	[REPLY_FULL] = {"421 4.3.2", "too many connections"},
	[REPLY_NO_BACKEND] = {"421 4.3.2", "no relay available"},
	[REPLY_CLOSING] = {"421 4.3.2", "closing for maintenance"},
	[REPLY_IDLE] = {"421 4.4.2", "idle timeout"},
};

size_t
reply_format(char buf[REPLY_MAX + 1], enum reply reply, const char *hostname, const char *id)
{
	const char *code = replies[reply].code;
	const char *text = replies[reply].text;
	size_t id_len = strnlen(id, ID_MAX);
	size_t room = REPLY_MAX - strlen(code) - strlen(text) - id_len - strlen("   ()\r\n");
	int len = snprintf(buf, REPLY_MAX + 1, "%s %.*s %s (%.*s)\r\n", code, (int)room, hostname,
		text, (int)id_len, id);
	return (size_t)len;
}

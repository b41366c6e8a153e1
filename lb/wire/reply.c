/*
 * Formats the replies that we give in our own name. Pure: any thread, the buffer is the caller's.
 */
#include "lb/wire/reply.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

enum {
	ID_MAX = 64, /* bytes of a session id that are shown; ours are shorter */
};

static const struct {
	const char *code;
	const char *text;
	bool names_client;
} replies[] = {
	[REPLY_DENIED_421] = {"421 4.7.1", "access denied", false},
	[REPLY_DENIED_554] = {"554 5.7.1", "access denied", false},
	[REPLY_CONNECTIONS] = {"421 4.7.0", "too many connections from ", true},
	[REPLY_MESSAGES] = {"421 4.7.0", "too many messages from ", true},
	[REPLY_FULL] = {"421 4.3.2", "too many connections", false},
	[REPLY_NO_BACKEND] = {"421 4.3.2", "no relay available", false},
	[REPLY_CLOSING] = {"421 4.3.2", "closing for maintenance", false},
	[REPLY_IDLE] = {"421 4.4.2", "idle timeout", false},
	[REPLY_TLS_READY] = {"220 2.0.0", "ready to start TLS", false},
	[REPLY_TLS_ON] = {"503 5.5.1", "TLS is on already", false},
	[REPLY_TLS_LATE] = {"503 5.5.1", "STARTTLS comes before AUTH and MAIL", false},
	[REPLY_TLS_ARGUMENTS] = {"501 5.5.4", "STARTTLS has no arguments", false},
	[REPLY_TLS_FAILS] = {"454 4.7.0", "TLS is not available for now", false},
	[REPLY_TLS_FIRST] = {"530 5.7.0", "must issue a STARTTLS command first", false},
	[REPLY_EHLO_FIRST] = {"503 5.5.1", "must issue EHLO first", false},
};

size_t
reply_format(char buf[REPLY_MAX + 1], enum reply reply, const char *hostname,
	const struct addr *client, const char *id)
{
	const char *code = replies[reply].code;
	const char *text = replies[reply].text;
	char ip[ADDR_TEXT_MAX] = "";
	size_t id_len = strnlen(id, ID_MAX);
	if (replies[reply].names_client)
		addr_format(client, ip);
	size_t room =
		REPLY_MAX - strlen(code) - strlen(text) - strlen(ip) - id_len - strlen("   ()\r\n");
	int len = snprintf(buf, REPLY_MAX + 1, "%s %.*s %s%s (%.*s)\r\n", code, (int)room, hostname,
		text, ip, (int)id_len, id);
	return (size_t)len;
}

/*
 * The SMTP replies that we give in our own name, the only bytes a client ever gets from us.
 * Enhanced codes by RFC 3463 and RFC 5248.
 */
#ifndef LB_WIRE_REPLY_H
#define LB_WIRE_REPLY_H

#include "acl/addr.h"

#include <stddef.h>

enum reply {
	REPLY_DENIED_421,  /* 421 4.7.1 HOST access denied (ID) */
	REPLY_DENIED_554,  /* 554 5.7.1 HOST access denied (ID) */
	REPLY_CONNECTIONS, /* 421 4.7.0 HOST too many connections from IP (ID) */
	REPLY_MESSAGES,    /* 421 4.7.0 HOST too many messages from IP (ID) */
	REPLY_FULL,        /* 421 4.3.2 HOST too many connections (ID) */
	REPLY_NO_BACKEND,  /* 421 4.3.2 HOST no relay available (ID) */
	REPLY_CLOSING,     /* 421 4.3.2 HOST closing for maintenance (ID) */
	REPLY_IDLE,        /* 421 4.4.2 HOST idle timeout (ID) */
};

enum {
	REPLY_MAX = 512, /* with CRLF: RFC 5321 section 4.5.3.1.5 */
};

/* Writes the reply with its CRLF (and a NUL behind) and returns the length without the NUL; a
 * hostname that does not fit is cut. client: the IP of a reply that names one. */
size_t reply_format(char buf[REPLY_MAX + 1], enum reply reply, const char *hostname,
	const struct addr *client, const char *id);

#endif

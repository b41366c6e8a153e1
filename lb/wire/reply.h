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
	/* Of a listener with TLS (RFC 3207 section 4): */
	REPLY_TLS_READY,     /* 220 2.0.0 HOST ready to start TLS (ID) */
	REPLY_TLS_ON,        /* 503 5.5.1 HOST TLS is on already (ID) */
	REPLY_TLS_LATE,      /* 503 5.5.1 HOST STARTTLS comes before AUTH and MAIL (ID) */
	REPLY_TLS_ARGUMENTS, /* 501 5.5.4 HOST STARTTLS has no arguments (ID) */
	REPLY_TLS_FAILS,     /* 454 4.7.0 HOST TLS is not available for now (ID) */
	REPLY_TLS_FIRST,     /* 530 5.7.0 HOST must issue a STARTTLS command first (ID) */
	REPLY_EHLO_FIRST,    /* 503 5.5.1 HOST must issue EHLO first (ID) */
};

enum {
	REPLY_MAX = 512, /* with CRLF: RFC 5321 section 4.5.3.1.5 */
};

/* Writes the reply with its CRLF (and a NUL behind) and returns the length without the NUL; a
 * hostname that does not fit is cut. client: the IP of a reply that names one. */
size_t reply_format(char buf[REPLY_MAX + 1], enum reply reply, const char *hostname,
	const struct addr *client, const char *id);

#endif

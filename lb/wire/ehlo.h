/*
 * The reply to EHLO (RFC 5321 section 4.1.1.1) as a client gets it where the balancer speaks TLS
 * for the relays: STARTTLS (RFC 3207 section 4) is offered once, or no more, whatever the relay
 * offered. These are the only bytes of a relay's that are changed.
 */
#ifndef LB_WIRE_EHLO_H
#define LB_WIRE_EHLO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	/* By how many bytes it grows, at most: the keyword's line, and a `-`. */
	EHLO_GROWTH = sizeof("250-STARTTLS\r\n"),
};

/* Writes a reply, which must be whole (reply_reader.h), as it is to be, and returns its length. out
 * has room for len + EHLO_GROWTH. A reply of another code than 250 stays as it is. */
size_t ehlo_edit(const uint8_t *reply, size_t len, bool offers, uint8_t *out);

#endif

/*
 * What a client of a listener with TLS is offered: the relay's replies to EHLO are held until they
 * are whole, and go on with STARTTLS or without it (lb/wire/ehlo.h). Everything else of the relay's
 * passes as it is. Worker's thread.
 */
#ifndef LB_OFFER_H
#define LB_OFFER_H

#include "lb/tracker.h"

struct chunk;
struct session;

/* Reads the relay's chunk along, which is taken, and returns what goes to the client, in a list;
 * NULL for nothing, or when the session has gone. For a session with a struct starttls. */
struct chunk *offer_read_relay(struct session *session, struct chunk *chunk, tracker_tell *tell);

/* The relay has ended: what it has said of a reply that was held back, to be passed on; NULL for
 * nothing. */
struct chunk *offer_last_reply(struct session *session);

#endif

/*
 * Leaving: when a served session is wanted gone (the stop, a backend that drains, rebalancing, or
 * because nothing happens), and where it may be ended without harm. That is between two messages,
 * with a 421 of ours (RFC 5321 section 3.8) and a QUIT for the relay; never between a final dot and
 * its reply; and in the middle of anything else only once its time is over.
 *
 * Right behind the reply to a message a client expects an end at any moment: one that keeps the
 * connection tests it with RSET first and just makes another, so that is where we leave at once.
 * After any other reply (EHLO, RSET) the next MAIL may be on its way, and a 421 would cost that
 * message its delivery for now: there a pause of the client's is awaited.
 *
 * Worker's thread.
 */
#ifndef LB_LEAVE_H
#define LB_LEAVE_H

#include <stdbool.h>
#include <stdint.h>

struct session;

/* Ends the session if it is wanted gone, or over its client's limit of messages, and may be ended.
 * After anything that passed, in the pump. Returns whether it did. */
bool leave_if_due(struct session *session);

/* Until when a session may stand still (clock_ms); DEADLINE_NEVER while the reply to a final dot
 * may come. */
uint64_t leave_deadline(const struct session *session);

/* That moment has come, in the pump. */
void leave_idle(struct session *session);

/* Whether what has not ended by itself is cut. */
bool leave_is_overdue(const struct session *session);

/* What is wished of sessions has changed: the worker stops, a backend drains, their time is over.
 */
void leave_look_again(struct session *session);

#endif

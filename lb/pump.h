/*
 * The pump: a session whose backend has greeted. Moves every byte both ways unchanged and in order,
 * holds a side back while the other can't take more, passes each FIN on behind the last byte before
 * it, and lets each side have what was sent to it before the end, whoever ends.
 */
#ifndef LB_PUMP_H
#define LB_PUMP_H

struct chunk;
struct session;

/* Connects the two sides. greeting: what the backend has said so far, one chunk or two, taken. */
void pump_start(struct session *session, struct chunk *greeting);

/* The deadline passed, in one of the pump's phases. */
void pump_timeout(struct session *session);

#endif

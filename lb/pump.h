/*
 * The pump: a session whose backend has greeted. Moves every byte both ways unchanged and in order,
 * holds a side back while the other can't take more, passes each FIN on behind the last byte before
 * it, and lets each side have what was sent to it before the end, whoever ends.
 */
#ifndef LB_PUMP_H
#define LB_PUMP_H

#include <stddef.h>

struct chunk;
struct session;

/* Connects the two sides. greeting: what the backend has said so far, one chunk or two, taken; the
 * last `behind` bytes of it, all in one chunk, came behind the greeting. */
void pump_start(struct session *session, struct chunk *greeting, size_t behind);

/* The client speaks TLS from now on: goes on with both sides. */
void pump_go_on(struct session *session);

/* The deadline passed, in one of the pump's phases. */
void pump_timeout(struct session *session);

#endif

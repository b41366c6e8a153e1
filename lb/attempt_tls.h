/*
 * An attempt's way into TLS with the relay: from the first byte behind the PROXY header, or by
 * STARTTLS behind the greeting. Worker's thread.
 */
#ifndef LB_ATTEMPT_TLS_H
#define LB_ATTEMPT_TLS_H

#include <stddef.h>

struct chunk;
struct session;

/* From here on the relay's conn speaks TLS, and tells when it stands. Returns 0, or -1 when the
 * attempt has failed. */
int attempt_secure(struct session *session);

/* The relay has greeted in the clear, and STARTTLS is next. behind: the bytes that came behind the
 * greeting, which nobody has asked for, and which are dropped. */
void attempt_upgrade(struct session *session, size_t behind);

/* More of what it answers to that; the chunk is taken. */
void attempt_go_on_upgrading(struct session *session, struct chunk *chunk);

#endif

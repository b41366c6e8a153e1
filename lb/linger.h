/*
 * The way out of a session that was given a reply of ours, or was cut behind one of the relay's:
 * FIN behind the reply, and the client's bytes are read and dropped until it has left, so that it
 * gets the reply even if it has talked. A close with unread bytes would reset the connection, and
 * the reply with it.
 *
 * How many may linger at once is bounded (worker.h): strangers must not hold all descriptors. One
 * too many, and one whose descriptor is wanted back, is closed at once.
 */
#ifndef LB_LINGER_H
#define LB_LINGER_H

struct session;

enum {
	LINGER_MS = 5000, /* for the client to leave */
};

/* Takes leave of the client; the backend's conn is closed. */
void linger_start(struct session *session);

#endif

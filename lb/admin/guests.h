/*
 * The connections of one server of libmicrohttpd. None keeps its place for longer than its time, a
 * request and its answer however it drips: libmicrohttpd's own timeout begins anew with each byte.
 * While it is we who owe the answer, the time stands still.
 *
 * Belongs to the loop's thread.
 */
#ifndef LB_ADMIN_GUESTS_H
#define LB_ADMIN_GUESTS_H

#include <ev.h>
#include <microhttpd.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

enum guest_does {
	GUEST_ASKS,
	GUEST_WAITS, /* for us, who owe the answer */
	GUEST_TAKES, /* its answer */
};

struct guest;

struct guests {
	struct ev_loop *loop;
	ev_timer timer;
	TAILQ_HEAD(guest_list, guest) list; /* who has been there for longest first */
	uint64_t come;                      /* how many there have been in all */
};

void guests_init(struct guests *guests, struct ev_loop *loop);

/* For MHD_OPTION_NOTIFY_CONNECTION, with the guests for context. */
void guests_notice(void *guests, struct MHD_Connection *connection, void **state,
	enum MHD_ConnectionNotificationCode code);

/* False: there was no memory for it, and it is being closed. */
bool guests_know(struct MHD_Connection *connection);

/* It goes on to that, for which it has its time anew. */
void guests_turn(struct guests *guests, struct MHD_Connection *connection, enum guest_does does);

/* Cuts those off who have ended in the middle of a request: of an end that comes together with what
 * is before it libmicrohttpd takes no note. */
void guests_cut_ended(struct guests *guests);

#endif

/*
 * See guests.h.
 */
#include "lb/admin/guests.h"

#include "lb/clock.h"

#include <stdint.h>
#include <stdlib.h>
#include <sys/socket.h>

enum {
	PATIENCE_MS = 30000,
};

struct guest {
	struct MHD_Connection *connection;
	uint64_t since_ms;
	enum guest_does does;
	TAILQ_ENTRY(guest) beside;
};

static void
await_first(struct guests *guests)
{
	struct guest *first = TAILQ_FIRST(&guests->list);
	ev_timer_stop(guests->loop, &guests->timer);
	if (!first)
		return;
	uint64_t after_ms = clock_ms_until(first->since_ms + PATIENCE_MS);
	ev_timer_set(&guests->timer, (double)(after_ms + 1) / 1000, 0);
	ev_timer_start(guests->loop, &guests->timer);
}

static void
give_time(struct guests *guests, struct guest *guest)
{
	TAILQ_REMOVE(&guests->list, guest, beside);
	guest->since_ms = clock_ms();
	TAILQ_INSERT_TAIL(&guests->list, guest, beside);
}

static int
descriptor_of(struct MHD_Connection *connection)
{
	return MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
}

/* libmicrohttpd reads the end then, and closes. */
static void
cut(struct MHD_Connection *connection)
{
	shutdown(descriptor_of(connection), SHUT_RDWR);
}

static void
on_timer(struct ev_loop *loop, ev_timer *timer, int events)
{
	(void)loop;
	(void)events;
	struct guests *guests = timer->data;
	uint64_t now = clock_ms();
	struct guest *first;
	while ((first = TAILQ_FIRST(&guests->list)) && first->since_ms + PATIENCE_MS <= now) {
		if (first->does != GUEST_WAITS)
			cut(first->connection);
		give_time(guests, first);
	}
	await_first(guests);
}

void
guests_init(struct guests *guests, struct ev_loop *loop)
{
	guests->loop = loop;
	TAILQ_INIT(&guests->list);
	ev_init(&guests->timer, on_timer);
	guests->timer.data = guests;
}

static struct guest *
welcome(struct guests *guests, struct MHD_Connection *connection)
{
	struct guest *guest = calloc(1, sizeof(*guest));
	if (!guest) {
		cut(connection);
		return NULL;
	}
	guest->connection = connection;
	guest->since_ms = clock_ms();
	TAILQ_INSERT_TAIL(&guests->list, guest, beside);
	return guest;
}

void
guests_notice(void *context, struct MHD_Connection *connection, void **state,
	enum MHD_ConnectionNotificationCode code)
{
	struct guests *guests = context;
	struct guest *guest = *state;
	switch (code) {
	case MHD_CONNECTION_NOTIFY_STARTED:
		guests->come++;
		*state = welcome(guests, connection);
		break;
	case MHD_CONNECTION_NOTIFY_CLOSED:
		if (guest)
			TAILQ_REMOVE(&guests->list, guest, beside);
		free(guest);
		break;
	}
	await_first(guests);
}

static struct guest *
find(struct MHD_Connection *connection)
{
	return MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT)
		->socket_context;
}

bool
guests_know(struct MHD_Connection *connection)
{
	return find(connection) != NULL;
}

void
guests_turn(struct guests *guests, struct MHD_Connection *connection, enum guest_does does)
{
	struct guest *guest = find(connection);
	guest->does = does;
	give_time(guests, guest);
}

void
guests_cut_ended(struct guests *guests)
{
	char byte;
	for (struct guest *guest = TAILQ_FIRST(&guests->list); guest;
		guest = TAILQ_NEXT(guest, beside)) {
		if (guest->does == GUEST_ASKS &&
			recv(descriptor_of(guest->connection), &byte, 1, MSG_PEEK) == 0)
			cut(guest->connection);
	}
}

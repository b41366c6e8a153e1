/*
 * One connection to the sink: see client.h. Bytes come into a fixed buffer, are taken from there by
 * whatever the phase says, and replies go out from another; when that is full, nothing is taken,
 * and when nothing is taken, nothing is read.
 */
#include "bench/client.h"

#include "bench/dialog.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	INPUT_SIZE = 16384,
};

_Static_assert((int)INPUT_SIZE >= (int)DIALOG_LINE_MAX, "a command line fits");
_Static_assert((int)INPUT_SIZE >= (int)HEADER_MAX, "a PROXY header fits");

/* By what is awaited. */
enum phase {
	PHASE_PROXY,    /* the PROXY header */
	PHASE_GREETING, /* the end of the silence */
	PHASE_DIALOG,
	PHASE_REQUEST, /* the probe's whole request */
	PHASE_FLUSH,   /* the last reply on its way, then the other's end */
};

struct client {
	struct sink *sink;
	struct client *prev, *next;
	int fd;
	enum phase phase;
	bool eof;  /* the other has sent all */
	bool shut; /* we have */
	ev_io readable;
	ev_io writable;
	struct endpoint source;
	struct dialog dialog;
	struct replies replies;
	size_t sent; /* of the replies */
	size_t input_len;
	uint8_t input[INPUT_SIZE];
};

static void
client_free(struct client *client)
{
	struct sink *sink = client->sink;

	ev_io_stop(sink->loop, &client->readable);
	ev_io_stop(sink->loop, &client->writable);
	if (client->prev != NULL)
		client->prev->next = client->next;
	else
		sink->clients = client->next;
	if (client->next != NULL)
		client->next->prev = client->prev;
	close(client->fd);
	free(client);
}

/* Appends "CLIENT ID SIZE", in one write and before the message is confirmed: whatever is killed
 * when, what a sender was promised stands in the record. */
static bool
record(void *context, const struct message *message)
{
	const struct client *client = context;
	char source[ENDPOINT_TEXT_MAX];
	char line[ENDPOINT_TEXT_MAX + DIALOG_ID_MAX + 32];
	int len;

	if (client->sink->record_fd < 0) {
		client->sink->kept++;
		return true;
	}
	len = snprintf(line, sizeof(line), "%s %s %llu\n", endpoint_format(&client->source, source),
		message->id, (unsigned long long)message->size);
	if (write(client->sink->record_fd, line, (size_t)len) != len)
		return false;
	client->sink->kept++;
	return true;
}

static void
consume(struct client *client, size_t len)
{
	client->input_len -= len;
	memmove(client->input, client->input + len, client->input_len);
}

/* Any request is answered alike once its header has ended. */
static ssize_t
take_request(struct client *client)
{
	static const char answer[] =
		"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 3\r\n\r\nok\n";

	if (memmem(client->input, client->input_len, "\r\n\r\n", 4) == NULL)
		return client->input_len < INPUT_SIZE ? 0 : -1;
	memcpy(client->replies.text, answer, sizeof(answer) - 1);
	client->replies.len = sizeof(answer) - 1;
	client->phase = PHASE_FLUSH;
	return (ssize_t)client->input_len;
}

/* Takes what it can of the input. Returns 1 when that moved anything, 0 when more is needed, -1
 * when this is not what was awaited. */
static int
take(struct client *client)
{
	enum phase before = client->phase;
	ssize_t used = 0;

	switch (client->phase) {
	case PHASE_PROXY:
		used = header_parse(
			client->sink->header, client->input, client->input_len, &client->source);
		if (used > 0)
			client->phase = PHASE_GREETING;
		break;
	case PHASE_GREETING:
		if (client->sink->silent)
			break;
		dialog_greet(&client->dialog, &client->replies);
		client->phase = PHASE_DIALOG;
		break;
	case PHASE_DIALOG:
		used = (ssize_t)dialog_feed(
			&client->dialog, client->input, client->input_len, &client->replies);
		if (client->dialog.state == DIALOG_OVER)
			client->phase = PHASE_FLUSH;
		break;
	case PHASE_REQUEST:
		used = take_request(client);
		break;
	case PHASE_FLUSH:
		used = (ssize_t)client->input_len;
		break;
	}
	if (used < 0)
		return -1;
	if (used > 0)
		consume(client, (size_t)used);
	return used > 0 || client->phase != before;
}

/* Sends what is there. Returns 0, also when the socket is full, or -1 when the connection is dead.
 */
static int
flush(struct client *client)
{
	struct replies *replies = &client->replies;

	while (client->sent < replies->len) {
		ssize_t sent = send(client->fd, replies->text + client->sent,
			replies->len - client->sent, MSG_NOSIGNAL);

		if (sent < 0 && errno == EINTR)
			continue;
		if (sent < 0)
			return errno == EAGAIN ? 0 : -1;
		client->sent += (size_t)sent;
	}
	replies->len = 0;
	client->sent = 0;
	return 0;
}

static void
watch(struct client *client)
{
	struct ev_loop *loop = client->sink->loop;

	if (!client->eof && client->input_len < INPUT_SIZE)
		ev_io_start(loop, &client->readable);
	else
		ev_io_stop(loop, &client->readable);
	if (client->replies.len > 0)
		ev_io_start(loop, &client->writable);
	else
		ev_io_stop(loop, &client->writable);
}

/* Takes, sends and watches, or frees the client: nothing may touch it behind this. */
static void
advance(struct client *client)
{
	int moved;

	do {
		moved = take(client);
		if (moved < 0 || flush(client) != 0) {
			client_free(client);
			return;
		}
	} while (moved > 0 && client->replies.len == 0);
	/* The last reply is followed by a FIN, not by a close: that would be a reset where bytes
	 * are unread, and could overtake the reply. */
	if (client->phase == PHASE_FLUSH && client->replies.len == 0 && !client->shut) {
		shutdown(client->fd, SHUT_WR);
		client->shut = true;
	}
	if (client->eof && client->replies.len == 0)
		client_free(client);
	else
		watch(client);
}

/* As recv, of which the caller sees nothing: what the message is known to have still. */
static ssize_t
discard(struct client *client)
{
	size_t len =
		client->sink->discard && client->phase == PHASE_DIALOG && client->input_len == 0
			? dialog_droppable(&client->dialog)
			: 0;
	ssize_t got = len > 0 ? recv(client->fd, NULL, len, MSG_TRUNC) : 0;

	if (got > 0)
		dialog_drop(&client->dialog, (size_t)got);
	return got;
}

static void
on_readable(struct ev_loop *loop, ev_io *watcher, int events)
{
	struct client *client = watcher->data;
	ssize_t got;

	(void)loop;
	(void)events;
	if (discard(client) > 0)
		return;
	got = recv(
		client->fd, client->input + client->input_len, INPUT_SIZE - client->input_len, 0);
	if (got < 0) {
		if (errno != EAGAIN && errno != EINTR)
			client_free(client);
		return;
	}
	if (got == 0)
		client->eof = true;
	client->input_len += (size_t)got;
	advance(client);
}

static void
on_writable(struct ev_loop *loop, ev_io *watcher, int events)
{
	struct client *client = watcher->data;

	(void)loop;
	(void)events;
	if (flush(client) != 0)
		client_free(client);
	else
		advance(client);
}

static struct client *
client_new(struct sink *sink, int fd, const struct endpoint *source, enum phase phase)
{
	struct client *client = malloc(sizeof(*client));

	if (client == NULL) {
		close(fd);
		return NULL;
	}
	memset(client, 0, offsetof(struct client, input));
	client->sink = sink;
	client->fd = fd;
	client->phase = phase;
	client->source = *source;
	dialog_init(&client->dialog, sink->name, record, client);
	client->next = sink->clients;
	if (client->next != NULL)
		client->next->prev = client;
	sink->clients = client;
	ev_io_init(&client->readable, on_readable, fd, EV_READ);
	ev_io_init(&client->writable, on_writable, fd, EV_WRITE);
	client->readable.data = client;
	client->writable.data = client;
	return client;
}

void
client_new_smtp(struct sink *sink, int fd, const struct endpoint *source)
{
	enum phase phase = sink->header == HEADER_OFF ? PHASE_GREETING : PHASE_PROXY;
	struct client *client = client_new(sink, fd, source, phase);

	if (client != NULL)
		advance(client);
}

void
client_new_http(struct sink *sink, int fd, const struct endpoint *source)
{
	struct client *client = client_new(sink, fd, source, PHASE_REQUEST);

	if (client != NULL)
		watch(client);
}

void
clients_greet(struct sink *sink)
{
	struct client *next;

	for (struct client *client = sink->clients; client != NULL; client = next) {
		next = client->next;
		if (client->phase == PHASE_GREETING)
			advance(client);
	}
}

void
clients_free(struct sink *sink)
{
	struct client *next;

	for (struct client *client = sink->clients; client != NULL; client = next) {
		next = client->next;
		client_free(client);
	}
}

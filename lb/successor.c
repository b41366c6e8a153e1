/*
 * See successor.h.
 */
#include "lb/successor.h"

#include "lb/activation.h"
#include "lb/event.h"
#include "lb/pool_record.h"
#include "lb/replacement.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	DECIMAL = 10,
};

static void
let_go(struct successor *successor)
{
	close(successor->talk);
	successor->talk = -1;
}

/* There is nothing that he would still say. */
static void
on_end(struct ev_loop *loop, ev_io *watcher, int ready)
{
	(void)ready;
	struct successor *successor = watcher->data;
	ev_io_stop(loop, watcher);
	let_go(successor);
	struct event event;
	event_begin(&event, LOG_LEVEL_INFO, "upgrade");
	event_text(&event, "action", "alone");
	event_text(&event, "detail", "the process before has ended");
	event_end(&event);
}

void
successor_init(struct successor *successor)
{
	const char *text = getenv(REPLACEMENT_TALK);
	long fd = text ? strtol(text, NULL, DECIMAL) : -1;
	*successor = (struct successor){.talk = -1};
	if (fd >= ACTIVATION_FIRST_FD && fcntl((int)fd, F_SETFD, FD_CLOEXEC) == 0)
		successor->talk = (int)fd;
	unsetenv(REPLACEMENT_TALK);
	ev_init(&successor->end, on_end);
	successor->end.data = successor;
}

void
successor_fini(struct successor *successor)
{
	if (successor->talk >= 0)
		let_go(successor);
}

static int
say(const struct successor *successor, char what)
{
	return send(successor->talk, &what, 1, MSG_NOSIGNAL) == 1 ? 0 : -1;
}

int
successor_prepare(struct successor *successor, struct change *change)
{
	if (successor->talk < 0)
		return 0;
	if (say(successor, REPLACEMENT_PREPARED) < 0)
		return -1;
	char answer = 0;
	change->record = json_loadfd(successor->talk, JSON_DISABLE_EOF_CHECK, NULL);
	if (change->record && say(successor, REPLACEMENT_READY) == 0 &&
		recv(successor->talk, &answer, 1, 0) == 1 && answer == REPLACEMENT_GO)
		return 0;
	errno = EPIPE;
	return -1;
}

void
successor_watch(struct successor *successor, struct ev_loop *loop)
{
	if (successor->talk < 0)
		return;
	ev_io_set(&successor->end, successor->talk, EV_READ);
	ev_io_start(loop, &successor->end);
}

bool
successor_is_one_of_two(const struct successor *successor)
{
	return successor->talk >= 0;
}

/*
 * See replacement.h.
 */
#include "lb/replacement.h"

#include "conf/snapshot.h"
#include "lb/activation.h"
#include "lb/admin/admin.h"
#include "lb/event.h"
#include "lb/pool_record.h"
#include "lb/reload.h"
#include "lb/runtime.h"
#include "lb/spawn.h"
#include "lb/stop.h"
#include "lb/successor.h"
#include "lb/supervisor.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

enum {
	PATIENCE_S = 60, /* for the new process to be prepared: lists may be long */
	ANSWER_S = 5,    /* for what takes it no time, while we wait */
	DETAIL_MAX = 128,
};

static void try(struct replacement *replacement);

static void
tell(const struct replacement *replacement, enum log_level level, const char *action,
	const char *detail)
{
	struct event event;
	event_begin(&event, level, "upgrade");
	event_text(&event, "action", action);
	event_number(&event, "pid", replacement->pid ? (uint64_t)replacement->pid : LOG_NONE);
	event_text(&event, "detail", detail);
	event_end(&event);
}

static void
forget(struct replacement *replacement)
{
	ev_io_stop(replacement->loop, &replacement->answer);
	ev_timer_stop(replacement->loop, &replacement->patience);
}

/* Nobody else, who has got its number since. */
static void
end_process(struct replacement *replacement)
{
	if (replacement->handle < 0) {
		kill(replacement->pid, SIGKILL);
		return;
	}
	syscall(SYS_pidfd_send_signal, replacement->handle, SIGKILL, NULL, 0);
	close(replacement->handle);
	replacement->handle = -1;
}

/* Nothing has changed, and the next one may come. */
static void
fail(struct replacement *replacement, const char *detail)
{
	tell(replacement, LOG_LEVEL_ERROR, "failed", detail);
	forget(replacement);
	end_process(replacement);
	close(replacement->talk);
	replacement->talk = -1;
	replacement->pid = 0;
}

/* From here on it is the new process that serves, and nothing takes that back. The talk stays open
 * for as long as we live. */
static void
hand_over(struct replacement *replacement)
{
	const char go = REPLACEMENT_GO;
	tell(replacement, LOG_LEVEL_INFO, "done", NULL);
	ev_timer_stop(replacement->loop, &replacement->patience);
	replacement->is_done = true;
	supervisor_hand_over(replacement->pid);
	admin_leave(replacement->serving->admin);
	stop_retire(replacement->stop);
	if (send(replacement->talk, &go, 1, MSG_NOSIGNAL) != 1)
		tell(replacement, LOG_LEVEL_ERROR, "lost", strerror(errno));
}

/* With a time limit set, the kernel's own work for this thread, such as that of a ring, interrupts
 * a call and does not restart it (signal(7)). */
static ssize_t
receive_one(int fd, char *byte)
{
	ssize_t len;
	do
		len = recv(fd, byte, 1, 0);
	while (len < 0 && errno == EINTR);
	return len;
}

static int
send_all(int fd, const char *text, size_t len)
{
	while (len > 0) {
		ssize_t sent = send(fd, text, len, MSG_NOSIGNAL);
		if (sent < 0 && errno != EINTR)
			return -1;
		text += sent > 0 ? sent : 0;
		len -= sent > 0 ? (size_t)sent : 0;
	}
	return 0;
}

static int
talk_over(int fd, const char *record)
{
	char answer = 0;
	errno = ENOMEM;
	if (!record || send_all(fd, record, strlen(record)) < 0)
		return -1;
	ssize_t len = receive_one(fd, &answer);
	if (len == 1 && answer == REPLACEMENT_READY)
		return 0;
	if (len >= 0)
		errno = EPROTO;
	return -1;
}

/* The main thread waits, so that nothing is ordered or measured that the record does not have; and
 * no signal cuts that short. Returns 0, or -1 with errno. */
static int
leave_record(const struct replacement *replacement)
{
	sigset_t all, before;
	json_t *record = pool_record_new(replacement->serving);
	char *text = record ? json_dumps(record, JSON_COMPACT) : NULL;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	int result = talk_over(replacement->talk, text);
	int error = errno;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	free(text);
	json_decref(record);
	errno = error;
	return result;
}

/* What the new process has loaded may be older than what is in force here by now. */
static bool
is_overtaken(const struct replacement *replacement)
{
	return replacement->serving->changes != replacement->changes ||
	       reload_is_under_way(replacement->reload);
}

static void
on_prepared(struct replacement *replacement)
{
	if (replacement->stop->begun) {
		fail(replacement, "this process stops");
	} else if (is_overtaken(replacement)) {
		fail(replacement, "the configuration was loaded anew meanwhile: tried again");
		try(replacement);
	} else if (leave_record(replacement) == 0) {
		hand_over(replacement);
	} else {
		char detail[DETAIL_MAX];
		snprintf(detail, sizeof(detail), "the new process did not take over: %s",
			strerror(errno));
		fail(replacement, detail);
	}
}

static void
on_not_run(struct replacement *replacement)
{
	int error = 0;
	char detail[DETAIL_MAX];
	if (recv(replacement->talk, &error, sizeof(error), MSG_DONTWAIT) != sizeof(error))
		error = EIO;
	snprintf(detail, sizeof(detail), "%s can't be run: %s", replacement->path, strerror(error));
	fail(replacement, detail);
}

static void
on_end(struct replacement *replacement)
{
	if (!replacement->is_done) {
		fail(replacement, "the new process has ended; why is in its log");
		return;
	}
	tell(replacement, LOG_LEVEL_ERROR, "lost", "the new process has ended");
	forget(replacement);
}

/* One that serves has nothing more to say. */
static void
on_answer(struct ev_loop *loop, ev_io *watcher, int ready)
{
	(void)loop;
	(void)ready;
	struct replacement *replacement = watcher->data;
	char answer = 0;
	ssize_t len = recv(replacement->talk, &answer, 1, MSG_DONTWAIT);
	if (len == 1 && replacement->is_done)
		return;
	if (len == 1 && answer == REPLACEMENT_PREPARED)
		on_prepared(replacement);
	else if (len == 1 && answer == SPAWN_FAILED)
		on_not_run(replacement);
	else if (len == 1)
		fail(replacement, "the new process does not know how to take over");
	else if (len == 0 || errno == ECONNRESET)
		on_end(replacement);
}

static void
on_patience_over(struct ev_loop *loop, ev_timer *timer, int ready)
{
	(void)loop;
	(void)ready;
	fail(timer->data, "the new process was not ready in time");
}

/* All sockets at which we listen, for free(3). */
static int *
collect_sockets(const struct replacement *replacement, size_t *count)
{
	const struct runtime *runtime = replacement->serving->runtime;
	size_t max = ADMIN_SOCKETS_MAX;
	for (size_t i = 0; i < runtime->binding_count; i++)
		max += runtime->bindings[i].fd_count;
	int *sockets = calloc(max, sizeof(int));
	if (!sockets)
		return NULL;
	*count = admin_sockets(replacement->serving->admin, sockets);
	for (size_t i = 0; i < runtime->binding_count; i++) {
		const struct binding *binding = &runtime->bindings[i];
		memcpy(sockets + *count, binding->fds, binding->fd_count * sizeof(int));
		*count += binding->fd_count;
	}
	return sockets;
}

static int
start_process(struct replacement *replacement, int talk)
{
	char run[] = "run", file_option[] = "-c", *file = strdup(replacement->file);
	char *const arguments[] = {replacement->path, run, file_option, file, NULL};
	struct spawn spawn = {
		.path = replacement->path,
		.arguments = arguments,
		.talk = talk,
		.talk_name = REPLACEMENT_TALK,
		.names = admin_owns_path(replacement->serving->admin) ? ACTIVATION_OWN : "",
	};
	int *sockets = collect_sockets(replacement, &spawn.socket_count);
	spawn.sockets = sockets;
	pid_t pid = file && sockets ? spawn_start(&spawn, &replacement->handle) : -1;
	int error = errno;
	free(sockets);
	free(file);
	errno = error;
	if (pid < 0)
		return -1;
	replacement->pid = pid;
	return 0;
}

static void
limit_waiting(int fd)
{
	const struct timeval limit = {.tv_sec = ANSWER_S};
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
}

static int
begin(struct replacement *replacement)
{
	int ends[2];
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
		return -1;
	int result = start_process(replacement, ends[1]);
	int error = errno;
	close(ends[1]);
	if (result < 0) {
		close(ends[0]);
		errno = error;
		return -1;
	}
	replacement->talk = ends[0];
	limit_waiting(replacement->talk);
	ev_io_set(&replacement->answer, replacement->talk, EV_READ);
	ev_io_start(replacement->loop, &replacement->answer);
	replacement->changes = replacement->serving->changes;
	ev_timer_set(&replacement->patience, PATIENCE_S, 0);
	ev_timer_start(replacement->loop, &replacement->patience);
	return 0;
}

/* NULL when there is nothing in the way. */
static const char *
why_not(const struct replacement *replacement)
{
	if (replacement->pid)
		return "another one is under way";
	if (replacement->stop->begun)
		return "this process stops";
	if (successor_is_one_of_two(replacement->successor))
		return "the process before this one still has sessions; two are enough";
	if (!replacement->path)
		return "where this program is can't be told";
	return NULL;
}

static void
try(struct replacement *replacement)
{
	if (begin(replacement) < 0)
		tell(replacement, LOG_LEVEL_ERROR, "failed", strerror(errno));
	else
		tell(replacement, LOG_LEVEL_INFO, "started", replacement->path);
}

static void
on_usr2(struct ev_loop *loop, ev_signal *watcher, int ready)
{
	(void)loop;
	(void)ready;
	struct replacement *replacement = watcher->data;
	const char *why = why_not(replacement);
	if (why)
		tell(replacement, LOG_LEVEL_WARNING, "refused", why);
	else
		try(replacement);
}

/* As it was when we were started: another may be there since. */
static char *
find_path(void)
{
	char path[PATH_MAX];
	ssize_t len = readlink("/proc/self/exe", path, sizeof(path));
	return len > 0 && len < PATH_MAX ? strndup(path, (size_t)len) : NULL;
}

void
replacement_init(struct replacement *replacement, struct ev_loop *loop,
	const struct serving *serving, const char *file)
{
	*replacement = (struct replacement){
		.loop = loop,
		.serving = serving,
		.file = file,
		.path = find_path(),
		.talk = -1,
		.handle = -1,
	};
	ev_signal_init(&replacement->usr2, on_usr2, SIGUSR2);
	ev_init(&replacement->answer, on_answer);
	ev_init(&replacement->patience, on_patience_over);
	replacement->usr2.data = replacement->answer.data = replacement;
	replacement->patience.data = replacement;
}

void
replacement_fini(struct replacement *replacement)
{
	free(replacement->path);
	if (replacement->talk >= 0 && replacement->loop)
		close(replacement->talk);
}

void
replacement_watch(struct replacement *replacement, struct stop *stop, const struct reload *reload,
	const struct successor *successor)
{
	replacement->stop = stop;
	replacement->reload = reload;
	replacement->successor = successor;
	ev_signal_start(replacement->loop, &replacement->usr2);
}

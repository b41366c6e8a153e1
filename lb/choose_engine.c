/*
 * See choose_engine.h. Whether a kernel has what io_uring's engine needs is not told by its number
 * (an administrator or a container may forbid it): it is tried.
 */
#include "lb/choose_engine.h"

#include "lb/io/conn.h"
#include "lb/io/engine.h"

#include <errno.h>
#include <ev.h>
#include <string.h>

/* 0, or an errno. */
static int
try_uring(void)
{
	struct io io;
	struct ev_loop *loop = ev_loop_new(EVFLAG_AUTO);
	if (!loop)
		return ENOMEM;
	int error = io_init(&io, loop, &engine_uring) < 0 ? errno : 0;
	if (error == 0) {
		error = io_start(&io) < 0 ? errno : 0;
		io_fini(&io);
	}
	ev_loop_destroy(loop);
	return error;
}

static const char *
why(int error)
{
	switch (error) {
	case EPERM:
		return "the sysctl kernel.io_uring_disabled or a seccomp filter forbids it";
	case ENOSYS:
		return "this kernel was built without it, or a seccomp filter hides it";
	case EINVAL:
		return "it needs Linux 6.1 or later";
	default:
		return strerror(error);
	}
}

const struct engine *
choose_engine(const struct snapshot *snapshot, struct report *report)
{
	if (snapshot->engine == ENGINE_LIBEV)
		return &engine_libev;
	int error = try_uring();
	if (error == 0)
		return &engine_uring;
	if (snapshot->engine == ENGINE_AUTO) {
		report_warning(report, snapshot->file, 0,
			"engine libev is used: no io_uring here: %s", why(error));
		return &engine_libev;
	}
	report_error(report, snapshot->file, snapshot->engine_line,
		"engine = io_uring can't be used: %s; set it to auto or libev", why(error));
	return NULL;
}

const char *
engine_name(const struct engine *engine)
{
	return engine->name;
}

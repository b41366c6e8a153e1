/*
 * The tcp check: the connection is all. Where the relay expects a PROXY header it gets one before
 * the close, because Postfix complains of a connection without. Pure; see check.h.
 */
#include "health/check.h"

static int
begin(struct check *check, const struct check_scene *scene)
{
	return scene->mail_port ? check_open_with_proxy(check, scene) : 0;
}

const struct check_kind check_tcp = {
	.awaited = "connection",
	.cut = "connection",
	.parting = "",
	.begin = begin,
};

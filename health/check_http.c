/*
 * The http check: GET a page, judge by the status. The verdict falls at the end of the reply's
 * header; the body is only read away. Pure; see check.h.
 */
#include "health/check.h"

#include <string.h>

static int
begin(struct check *check, const struct check_scene *scene)
{
	http_reply_init(&check->reply.http);
	check->words = http_request(check->conf, &scene->remote.addr);
	if (!check->words)
		return -1;
	check->words_len = strlen(check->words);
	return 0;
}

static bool
status_is_wanted(const struct check_conf *conf, unsigned status)
{
	for (size_t i = 0; i < conf->status_count; i++) {
		if (status >= conf->status[i].first && status <= conf->status[i].last)
			return true;
	}
	return false;
}

static enum check_step
feed(struct check *check, const uint8_t *piece, size_t len)
{
	struct http_reply *reply = &check->reply.http;
	ssize_t taken = http_reply_feed(reply, piece, len);
	if (taken == 0)
		return CHECK_GOES_ON;
	if (taken < 0)
		return check_decide(
			check, PROBE_MALFORMED, "malformed: %s (%s)", reply->why, reply->line);
	if (status_is_wanted(check->conf, reply->status))
		return check_decide(check, PROBE_OK, "%u", reply->status);
	return check_decide(check, PROBE_STATUS, "status %u", reply->status);
}

const struct check_kind check_http = {
	.awaited = "reply",
	.cut = "header",
	.parting = "",
	.begin = begin,
	.feed = feed,
};

/*
 * The smtp check: an SMTP session of nothing but greeting and QUIT. The whole greeting is awaited
 * before a word is said, as a client should (RFC 5321 section 3.1; postscreen punishes others); the
 * verdict falls with its last line. Pure; see check.h.
 */
#include "health/check.h"

#include <string.h>

enum {
	CODE_READY = 220,
};

static int
begin(struct check *check, const struct check_scene *scene)
{
	greeting_init(&check->reply.greeting);
	return check_open_with_proxy(check, scene);
}

/* Text of the backend's without what is not printable, up to the line's end. */
struct shown {
	char text[GREETING_LINE_MAX + 1];
	size_t len;
};

static void
show(struct shown *shown, const void *bytes, size_t len)
{
	const uint8_t *from = bytes;
	for (size_t i = 0; i < len && shown->len < GREETING_LINE_MAX && from[i] != '\n'; i++)
		shown->text[shown->len++] =
			(char)(from[i] >= ' ' && from[i] <= '~' ? from[i] : '?');
	shown->text[shown->len] = '\0';
}

static bool
feed(struct check *check, const uint8_t *piece, size_t len)
{
	struct greeting *greeting = &check->reply.greeting;
	size_t before = greeting->total;
	ssize_t taken = greeting_feed(greeting, piece, len);
	if (taken == 0)
		return false;
	if (taken > 0 && greeting->code == CODE_READY)
		return check_decide(check, PROBE_OK, "%u", greeting->code);
	struct shown shown = {.len = 0};
	show(&shown, greeting->line, strlen(greeting->line));
	if (taken > 0)
		return check_decide(check, PROBE_REPLY, "reply: %s", shown.text);
	if (greeting->total == GREETING_MAX)
		return check_decide(
			check, PROBE_MALFORMED, "malformed: greeting too long (%s)", shown.text);
	/* What stands where three digits should tells what answered instead. */
	size_t wrong = greeting->total - before - 1;
	if (greeting->code == 0)
		show(&shown, piece + wrong, len - wrong);
	return check_decide(check, PROBE_MALFORMED, "malformed: not a greeting (%s)", shown.text);
}

const struct check_kind check_smtp = {
	.awaited = "greeting",
	.cut = "greeting",
	.parting = "QUIT\r\n",
	.begin = begin,
	.feed = feed,
};

/*
 * The smtp check: an SMTP session of nothing but greeting and QUIT, and STARTTLS in between where
 * the pool's sessions have it. The whole greeting is awaited
 * before a word is said, as a client should (RFC 5321 section 3.1; postscreen punishes others); the
 * verdict falls with its last line. Pure; see check.h.
 */
#include "health/check.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	CODE_READY = 220,
};

static int
begin(struct check *check, const struct check_scene *scene)
{
	greeting_init(&check->reply.smtp.greeting);
	if (scene->tls == TLS_STARTTLS)
		check->reply.smtp.hostname = scene->hostname;
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

/* Says it with one word behind; "" = none. */
static enum check_step
say(struct check *check, const char *verb, const char *word)
{
	free(check->words);
	int len = asprintf(&check->words, "%s%s%s\r\n", verb, *word ? " " : "", word);
	if (len < 0) {
		check->words = NULL;
		return check_decide(check, PROBE_RESOURCES, "resources: %s", strerror(ENOMEM));
	}
	check->words_len = (size_t)len;
	return CHECK_SAYS;
}

static enum check_step
feed_upgrade(struct check *check, const uint8_t *piece, size_t len)
{
	struct upgrade *upgrade = &check->reply.smtp.upgrade;
	char reply[REPLY_STATUS_TEXT_MAX];
	enum upgrade_step step = upgrade_feed(upgrade, piece, len);
	switch (step) {
	case UPGRADE_WAIT:
		return CHECK_GOES_ON;
	case UPGRADE_ASK:
		return say(check, "STARTTLS", "");
	case UPGRADE_READY:
		return CHECK_SECURES;
	case UPGRADE_NOT_OFFERED:
	case UPGRADE_REFUSED:
		return check_decide(check, PROBE_TLS, "tls: %s (%s)", upgrade_why(step),
			reply_status_format(&upgrade->reply.status, reply));
	case UPGRADE_MALFORMED:
		break;
	}
	return check_decide(check, PROBE_MALFORMED, "malformed: %s", upgrade_why(step));
}

/* A greeting of the right code has come. */
static enum check_step
go_on(struct check *check)
{
	if (!check->reply.smtp.hostname)
		return check_decide(check, PROBE_OK, "%d", CODE_READY);
	check->reply.smtp.upgrades = true;
	upgrade_init(&check->reply.smtp.upgrade);
	return say(check, "EHLO", check->reply.smtp.hostname);
}

static enum check_step
feed(struct check *check, const uint8_t *piece, size_t len)
{
	if (check->reply.smtp.upgrades)
		return feed_upgrade(check, piece, len);
	struct greeting *greeting = &check->reply.smtp.greeting;
	size_t before = greeting->total;
	ssize_t taken = greeting_feed(greeting, piece, len);
	if (taken == 0)
		return CHECK_GOES_ON;
	if (taken > 0 && greeting->code == CODE_READY)
		return go_on(check);
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

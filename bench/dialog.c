/*
 * The receiving side of one SMTP session: see dialog.h. Runs in the sink's only thread; the struct
 * belongs to the client that it is a part of.
 */
#include "bench/dialog.h"

#include <assert.h>
#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum {
	REPLY_MAX = 512, /* our name is cut so that any reply fits */
};

static const char end_of_data[] = "\r\n.\r\n";

__attribute__((format(printf, 2, 3))) static void
say(struct replies *replies, const char *format, ...)
{
	size_t room = sizeof(replies->text) - replies->len;
	va_list args;
	int len;

	va_start(args, format);
	len = vsnprintf(replies->text + replies->len, room, format, args);
	va_end(args);
	assert(len >= 0 && (size_t)len < room);
	replies->len += (size_t)len;
}

void
dialog_init(struct dialog *dialog, const char *name,
	bool (*keep)(void *context, const struct message *message), void *context)
{
	*dialog = (struct dialog){.name = name, .keep = keep, .context = context};
}

void
dialog_greet(const struct dialog *dialog, struct replies *replies)
{
	say(replies, "220 %.255s ESMTP\r\n", dialog->name);
}

static bool
begins_with(const char *text, const char *start)
{
	return strncasecmp(text, start, strlen(start)) == 0;
}

static void
do_ehlo(struct dialog *dialog, const char *args, struct replies *replies)
{
	if (*args == '\0') {
		say(replies, "501 5.5.4 say your name\r\n");
		return;
	}
	dialog->step = STEP_HELLO;
	say(replies, "250-%.255s\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 SIZE 0\r\n",
		dialog->name);
}

static void
do_helo(struct dialog *dialog, const char *args, struct replies *replies)
{
	if (*args == '\0') {
		say(replies, "501 5.5.4 say your name\r\n");
		return;
	}
	dialog->step = STEP_HELLO;
	say(replies, "250 %.255s\r\n", dialog->name);
}

static void
do_mail(struct dialog *dialog, const char *args, struct replies *replies)
{
	if (dialog->step == STEP_CONNECTED) {
		say(replies, "503 5.5.1 EHLO comes first\r\n");
	} else if (dialog->step > STEP_HELLO) {
		say(replies, "503 5.5.1 one transaction at a time\r\n");
	} else if (!begins_with(args, "FROM:") || args[5] == '\0') {
		say(replies, "501 5.5.4 MAIL FROM:<address>\r\n");
	} else {
		const char *size = strcasestr(args, " SIZE=");

		dialog->announced = size != NULL ? strtoull(size + 6, NULL, 10) : 0;
		dialog->step = STEP_MAIL;
		say(replies, "250 2.1.0 ok\r\n");
	}
}

static void
do_rcpt(struct dialog *dialog, const char *args, struct replies *replies)
{
	if (dialog->step < STEP_MAIL) {
		say(replies, "503 5.5.1 MAIL comes first\r\n");
	} else if (!begins_with(args, "TO:") || args[3] == '\0') {
		say(replies, "501 5.5.4 RCPT TO:<address>\r\n");
	} else {
		dialog->step = STEP_RCPT;
		say(replies, "250 2.1.5 ok\r\n");
	}
}

static void
do_data(struct dialog *dialog, const char *args, struct replies *replies)
{
	if (dialog->step < STEP_RCPT) {
		say(replies, "503 5.5.1 RCPT comes first\r\n");
	} else if (*args != '\0') {
		say(replies, "501 5.5.4 DATA takes nothing\r\n");
	} else {
		dialog->state = DIALOG_DATA;
		dialog->matched = 2; /* the command's own CRLF counts (section 4.1.1.4) */
		dialog->in_header = true;
		dialog->demo_id = false;
		dialog->line_len = 0;
		dialog->message = (struct message){.id = "-"};
		say(replies, "354 end with a dot\r\n");
	}
}

static void
do_rset(struct dialog *dialog, const char *args, struct replies *replies)
{
	(void)args;
	if (dialog->step > STEP_HELLO)
		dialog->step = STEP_HELLO;
	say(replies, "250 2.0.0 ok\r\n");
}

static void
do_noop(struct dialog *dialog, const char *args, struct replies *replies)
{
	(void)dialog;
	(void)args;
	say(replies, "250 2.0.0 ok\r\n");
}

static void
do_vrfy(struct dialog *dialog, const char *args, struct replies *replies)
{
	(void)dialog;
	(void)args;
	say(replies, "252 2.5.0 send it and see\r\n");
}

static void
do_quit(struct dialog *dialog, const char *args, struct replies *replies)
{
	(void)args;
	dialog->state = DIALOG_OVER;
	say(replies, "221 2.0.0 bye\r\n");
}

static const struct {
	const char *verb;
	void (*run)(struct dialog *dialog, const char *args, struct replies *replies);
} commands[] = {
	{"EHLO", do_ehlo},
	{"HELO", do_helo},
	{"MAIL", do_mail},
	{"RCPT", do_rcpt},
	{"DATA", do_data},
	{"RSET", do_rset},
	{"NOOP", do_noop},
	{"VRFY", do_vrfy},
	{"QUIT", do_quit},
};

static void
command(struct dialog *dialog, const char *line, struct replies *replies)
{
	const char *args = line + strcspn(line, " \t");
	size_t len = (size_t)(args - line);

	args += strspn(args, " \t");
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		const char *verb = commands[i].verb;

		if (len == strlen(verb) && strncasecmp(line, verb, len) == 0) {
			commands[i].run(dialog, args, replies);
			return;
		}
	}
	say(replies, "500 5.5.2 no such command\r\n");
}

/* Takes one command line, or what there is of one that is too long. */
static size_t
take_line(struct dialog *dialog, const uint8_t *input, size_t len, struct replies *replies)
{
	char line[DIALOG_LINE_MAX + 1];
	size_t scan = len < DIALOG_LINE_MAX ? len : DIALOG_LINE_MAX;
	const uint8_t *end = memchr(input, '\n', scan);
	size_t text;

	if (dialog->state == DIALOG_TOO_LONG) {
		if (end == NULL)
			return scan;
		dialog->state = DIALOG_COMMAND;
		say(replies, "500 5.5.6 line too long\r\n");
		return (size_t)(end - input) + 1;
	}
	if (end == NULL) {
		if (scan < DIALOG_LINE_MAX)
			return 0;
		dialog->state = DIALOG_TOO_LONG;
		return scan;
	}
	/* A bare LF is taken too, for people with nc. */
	text = (size_t)(end - input);
	if (text > 0 && input[text - 1] == '\r')
		text--;
	for (size_t i = 0; i < text; i++)
		line[i] = (char)(input[i] == '\0' ? '?' : input[i]);
	while (text > 0 && (line[text - 1] == ' ' || line[text - 1] == '\t'))
		text--;
	line[text] = '\0';
	command(dialog, line, replies);
	return (size_t)(end - input) + 1;
}

/* Makes the value one printable word, so that a record is one line of three words. */
static void
set_id(struct message *message, const char *value)
{
	size_t len = 0;

	value += strspn(value, " \t");
	while (*value != '\0' && len < DIALOG_ID_MAX) {
		unsigned char byte = (unsigned char)*value++;

		message->id[len++] = (char)(byte > ' ' && byte < 0x7f ? byte : '?');
	}
	message->id[len] = '\0';
	if (len == 0)
		memcpy(message->id, "-", 2);
}

static void
header_line(struct dialog *dialog)
{
	size_t len = dialog->line_len;
	char *line = dialog->line;

	dialog->line_len = 0;
	while (len > 0 && isspace((unsigned char)line[len - 1]))
		len--;
	line[len] = '\0';
	if (len == 0) {
		dialog->in_header = false;
	} else if (begins_with(line, "X-Demo-Id:")) {
		set_id(&dialog->message, strchr(line, ':') + 1);
		dialog->demo_id = true;
	} else if (begins_with(line, "Message-Id:") && !dialog->demo_id) {
		set_id(&dialog->message, strchr(line, ':') + 1);
	}
}

static void
header_byte(struct dialog *dialog, uint8_t byte)
{
	/* The last place is for the NUL. */
	if (byte == '\n')
		header_line(dialog);
	else if (dialog->line_len < sizeof(dialog->line) - 1)
		dialog->line[dialog->line_len++] = (char)(byte == '\0' ? '?' : byte);
}

static void
end_message(struct dialog *dialog, struct replies *replies)
{
	dialog->message.size -= strlen(end_of_data) - 2;
	dialog->state = DIALOG_COMMAND;
	dialog->step = STEP_HELLO;
	if (dialog->keep(dialog->context, &dialog->message))
		say(replies, "250 2.0.0 kept\r\n");
	else
		say(replies, "452 4.3.1 the record can't be written\r\n");
}

/* Moves on in CRLF.CRLF; a dot that began a line but did not end the data was stuffed. */
static void
match_byte(struct dialog *dialog, uint8_t byte)
{
	if (byte == (uint8_t)end_of_data[dialog->matched]) {
		dialog->matched++;
		return;
	}
	if (dialog->matched >= 3)
		dialog->message.size--;
	dialog->matched = byte == '\r' ? 1 : 0;
}

static size_t
take_data(struct dialog *dialog, const uint8_t *input, size_t len, struct replies *replies)
{
	size_t used = 0;

	while (used < len) {
		uint8_t byte = input[used];

		if (!dialog->in_header && dialog->matched == 0 && byte != '\r') {
			const uint8_t *cr = memchr(input + used, '\r', len - used);
			size_t skip = cr != NULL ? (size_t)(cr - (input + used)) : len - used;

			dialog->message.size += skip;
			used += skip;
			continue;
		}
		used++;
		dialog->message.size++;
		match_byte(dialog, byte);
		if (dialog->matched == strlen(end_of_data)) {
			end_message(dialog, replies);
			break;
		}
		if (dialog->in_header)
			header_byte(dialog, byte);
	}
	return used;
}

size_t
dialog_feed(struct dialog *dialog, const uint8_t *input, size_t len, struct replies *replies)
{
	size_t used = 0;

	while (used < len && sizeof(replies->text) - replies->len > REPLY_MAX) {
		size_t step = 0;

		switch (dialog->state) {
		case DIALOG_COMMAND:
		case DIALOG_TOO_LONG:
			step = take_line(dialog, input + used, len - used, replies);
			break;
		case DIALOG_DATA:
			step = take_data(dialog, input + used, len - used, replies);
			break;
		case DIALOG_OVER:
			break;
		}
		if (step == 0)
			break;
		used += step;
	}
	return used;
}

size_t
dialog_droppable(const struct dialog *dialog)
{
	uint64_t seen = dialog->message.size + DIALOG_TAIL;

	if (dialog->state != DIALOG_DATA || dialog->in_header || dialog->announced <= seen)
		return 0;
	return dialog->announced - seen;
}

void
dialog_drop(struct dialog *dialog, size_t len)
{
	dialog->message.size += len;
	dialog->matched = 0;
}

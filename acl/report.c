/*
 * The list of messages that a loader fills. Runs in whichever thread loads; the texts belong to the
 * report until report_fini.
 */
#include "acl/report.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void
report_init(struct report *report)
{
	*report = (struct report){0};
}

void
report_fini(struct report *report)
{
	for (size_t i = 0; i < report->count; i++)
		free(report->entries[i].text);
	free(report->entries);
	report_init(report);
}

static bool
is_control(char c)
{
	return (unsigned char)c < 0x20 || c == 0x7f;
}

/* Control bytes would let a file forge lines of ours, or command the terminal of who reads them. */
static char *
escape(const char *raw)
{
	size_t len = 0;
	char *text = malloc(strlen(raw) * 4 + 1);
	if (!text)
		return NULL;
	for (; *raw; raw++) {
		if (is_control(*raw))
			len += (size_t)snprintf(text + len, 5, "\\x%02x", (unsigned char)*raw);
		else
			text[len++] = *raw;
	}
	text[len] = '\0';
	return text;
}

/* NULL when there is no memory. */
__attribute__((format(printf, 3, 0))) static char *
format_text(const char *file, unsigned line, const char *format, va_list args)
{
	char *message;
	char *raw;
	if (vasprintf(&message, format, args) < 0)
		return NULL;
	int len = line ? asprintf(&raw, "%s:%u: %s", file, line, message)
		       : asprintf(&raw, "%s: %s", file, message);
	free(message);
	if (len < 0)
		return NULL;
	char *text = escape(raw);
	free(raw);
	return text;
}

static int
make_room(struct report *report)
{
	if (report->count < report->capacity)
		return 0;
	size_t capacity = report->capacity ? report->capacity * 2 : 8;
	void *entries = reallocarray(report->entries, capacity, sizeof(*report->entries));
	if (!entries)
		return -1;
	report->entries = entries;
	report->capacity = capacity;
	return 0;
}

static void
add(struct report *report, bool warning, char *text)
{
	if (!text || make_room(report) < 0) {
		report->lost = true;
		free(text);
		return;
	}
	report->entries[report->count++] = (struct report_entry){.warning = warning, .text = text};
}

void
report_error(struct report *report, const char *file, unsigned line, const char *format, ...)
{
	if (report->errors++ >= REPORT_MAX)
		return;
	va_list args;
	va_start(args, format);
	add(report, false, format_text(file, line, format, args));
	va_end(args);
}

void
report_warning(struct report *report, const char *file, unsigned line, const char *format, ...)
{
	if (report->warnings++ >= REPORT_MAX)
		return;
	va_list args;
	va_start(args, format);
	add(report, true, format_text(file, line, format, args));
	va_end(args);
}

/*
 * Prints and logs what was found in a configuration. No state.
 */
#include "lb/notice.h"

#include "lb/event.h"
#include "lb/log.h"

#include <stdio.h>

static const char lost[] = "there is more to say, but no memory to say it";

void
notice_print(const struct report *report)
{
	for (size_t i = 0; i < report->count; i++)
		fprintf(stderr, "%s%s\n", report->entries[i].warning ? "warning: " : "",
			report->entries[i].text);
	if (report->lost)
		fprintf(stderr, "%s\n", lost);
}

void
notice_config(enum log_level level, const char *action, const char *detail)
{
	struct event event;
	event_begin(&event, level, "config");
	event_text(&event, "action", action);
	event_text(&event, "detail", detail);
	event_end(&event);
}

void
notice_log(const struct report *report)
{
	for (size_t i = 0; i < report->count; i++) {
		bool warning = report->entries[i].warning;
		notice_config(warning ? LOG_LEVEL_WARNING : LOG_LEVEL_ERROR,
			warning ? "warning" : "refused", report->entries[i].text);
	}
	if (report->lost)
		notice_config(report->errors ? LOG_LEVEL_ERROR : LOG_LEVEL_WARNING,
			report->errors ? "refused" : "warning", lost);
}

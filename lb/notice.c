/*
 * Prints and logs what was found in a configuration. No state.
 */
#include "lb/notice.h"

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
	struct log_line line;
	log_begin(&line, level, "config");
	log_text(&line, "action", action);
	log_text(&line, "detail", detail);
	log_end(&line);
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

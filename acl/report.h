/*
 * What a loader found wrong: a list of messages, each with the file and line where the offending
 * value stands. A loader adds every error it finds and goes on, so that one run shows them all.
 * Owned by the caller; not shared between threads.
 */
#ifndef ACL_REPORT_H
#define ACL_REPORT_H

#include <stdbool.h>
#include <stddef.h>

struct report_entry {
	bool warning;
	char *text; /* "FILE:LINE: what is wrong and what to do" (no newline) */
};

struct report {
	struct report_entry *entries; /* in the order in which they were added */
	size_t count;
	size_t errors;   /* how many errors there were, those past REPORT_MAX included */
	size_t warnings; /* the same for warnings */
	bool lost;       /* there was no memory for an entry, which is only counted */
	size_t capacity; /* private */
};

void report_init(struct report *report);
void report_fini(struct report *report);

/* Adds "FILE:LINE: MESSAGE"; "FILE: MESSAGE" when line is 0. Control bytes are written as \xNN, so
 * that an entry is always one line. Errors past REPORT_MAX are only counted, and so are warnings:
 * neither crowds out the other. */
enum {
	REPORT_MAX = 1000,
};
void report_error(struct report *report, const char *file, unsigned line, const char *format, ...)
	__attribute__((format(printf, 4, 5)));
void report_warning(struct report *report, const char *file, unsigned line, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

#endif

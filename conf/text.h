/*
 * The text of a configuration before libconfuse sees it. libconfuse 3.3 counts lines wrong after a
 * comment, allows none inside a list, drops the rest of a file behind an unclosed one with success,
 * skips characters that it does not know and expands variables of the environment. Here comments
 * are blanked, every newline and column kept, and what would be misread is refused, so that all
 * lines reported later are exact.
 */
#ifndef CONF_TEXT_H
#define CONF_TEXT_H

#include <stddef.h>

enum {
	TEXT_MAX = 16 << 20, /* bytes; longer is no configuration */
	PROBLEM_MAX = 300,
};

/* The first thing that is no syntax, or none. */
struct problem {
	unsigned line; /* 0 = none */
	char what[PROBLEM_MAX];
};

/* Sets the problem unless one of the same or an earlier line stands there already. */
void problem_note(struct problem *problem, unsigned line, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* Reads the file whole. Returns its bytes, NUL-terminated, to be freed by the caller, and *len; or
 * NULL with errno, EFBIG when it is longer than TEXT_MAX. */
char *text_read(const char *file, size_t *len);

/* Cleans text[0..len) in place; text[len] must be writable. On a problem the text ends before the
 * construct that is wrong (an unclosed brace leaves it whole). Afterwards it is NUL-terminated
 * without a NUL or a control byte inside but tab and newline, each quote closes on its line, and
 * outside quotes none of # + * ( ) and no comment is left. */
void text_clean(char *text, size_t len, struct problem *problem);

#endif

/*
 * A line of a list file: what no line of text may have in it, whatever the list's syntax. Any
 * thread; nothing is kept.
 */
#ifndef ACL_LINE_H
#define ACL_LINE_H

#include <stddef.h>

/* What is wrong with the line as such, and what to do; NULL when nothing is. number counts from 1;
 * the line end, CRLF too, is not part of the line. */
const char *line_flaw(const char *line, size_t len, unsigned number);

#endif

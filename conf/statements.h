/*
 * The statements of a cleaned text (text.h) held against the grammar, before libconfuse parses it:
 * libconfuse stops at an unknown key, and lets a key or section that is given twice overwrite the
 * first without a word.
 */
#ifndef CONF_STATEMENTS_H
#define CONF_STATEMENTS_H

#include "acl/report.h"

/* Reports every unknown key and everything given twice as an error in `file`, and blanks these
 * statements in text, so that libconfuse parses what is left. Returns 0; or, where something is no
 * statement, its line: the walk ends there, as libconfuse will. */
unsigned statements_prune(char *text, const char *file, struct report *report);

#endif

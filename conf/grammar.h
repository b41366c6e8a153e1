/*
 * The grammar as libconfuse's tables: each key with the text of its default, and the parsing of a
 * cleaned text (text.h) by them.
 *
 * libconfuse keeps its parser's state in globals: one thread at a time. Every leaf is a CFGT_PTR
 * whose value is the text as it stands in the file and its line; value.h reads them.
 */
#ifndef CONF_GRAMMAR_H
#define CONF_GRAMMAR_H

#include "conf/text.h"

#include <confuse.h>
#include <stdbool.h>

/* One value of the file, held by libconfuse's tree. */
struct grammar_value {
	unsigned line;
	char text[];
};

/* The table of the top level; a table ends with a name that is NULL. */
extern cfg_opt_t grammar_top[];

/* In every section's table stands one entry that no user can write: its value carries the line on
 * which the section opens, as libconfuse only remembers where it closes. */
bool grammar_is_mark(const cfg_opt_t *opt);
unsigned grammar_section_line(cfg_t *section);

/* Parses the text and returns its tree, to be freed with cfg_free: what stands before the first
 * syntax error, which is noted in *problem. */
cfg_t *grammar_parse(const char *text, struct problem *problem);

#endif

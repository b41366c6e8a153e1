/*
 * Parser for Postfix's cidr tables (cidr_table(5)): a line `PREFIX ACTION`, which lines that begin
 * with a blank continue; # comments on lines of their own. It reads no file: text in, calls out.
 * Any thread; the text is the caller's.
 */
#ifndef ACL_CIDR_H
#define ACL_CIDR_H

#include "acl/acl.h"
#include "acl/addr.h"
#include "acl/report.h"

#include <stddef.h>

/* Called in the order in which the lines stand, with the number of the line that the prefix is in.
 * OK and PERMIT allow, REJECT and DISCARD deny; DUNNO is no rule, but ends Postfix's search. */
struct cidr_handler {
	void (*rule)(
		void *context, enum acl_action action, const struct prefix *prefix, unsigned line);
	void (*dunno)(void *context, const struct prefix *prefix, unsigned line);
	void *context;
};

/* Parses text, which is written to: text[len] must exist. What can't be decided as Postfix does is
 * an error in the report, with `file` and its line: bad prefixes and other actions, `!`, if and
 * endif, an IPv4-mapped prefix, and in a deny list what allows. Good lines are handed over even
 * when others are bad: whether to use any is the caller's choice. */
void cidr_parse(char *text, size_t len, const char *file, enum acl_action action,
	const struct cidr_handler *handler, struct report *report);

#endif

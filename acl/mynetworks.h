/*
 * Parser for lists of prefixes as Postfix takes them for mynetworks (postconf(5)): entries apart by
 * blanks, commas or newlines, # comments, !pattern, [IPv6]/length, /path and cidr:/path includes.
 * It reads no file: text in, calls out. Any thread; the text is the caller's.
 */
#ifndef ACL_MYNETWORKS_H
#define ACL_MYNETWORKS_H

#include "acl/acl.h"
#include "acl/addr.h"
#include "acl/report.h"

#include <stddef.h>

/* Called in the order in which the entries stand. The action is the list's own, or deny for an
 * entry with a `!`. */
struct mynetworks_handler {
	void (*prefix)(
		void *context, enum acl_action action, const struct prefix *prefix, unsigned line);
	/* another list, and a cidr table (cidr.h) */
	void (*include)(void *context, enum acl_action action, const char *path, unsigned line);
	void (*table)(void *context, enum acl_action action, const char *path, unsigned line);
	void *context;
};

/* Parses text, which is written to: text[len] must exist. Every bad entry is an error in the
 * report, with `file` and its line; what means something else to Postfix is a warning. Good entries
 * are handed over even when others are bad: whether to use any is the caller's choice. */
void mynetworks_parse(char *text, size_t len, const char *file, enum acl_action action,
	const struct mynetworks_handler *handler, struct report *report);

/* How long the NAME in "NAME:rest" is; 0 when the item is none of that kind (an IPv6 address has
 * colons too). */
size_t mynetworks_scheme_len(const char *item);

#endif

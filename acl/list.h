/*
 * Loads a list or table of an allow or deny list, with the files that it includes. Blocks on the
 * disk, so not for a thread that serves sessions.
 */
#ifndef ACL_LIST_H
#define ACL_LIST_H

#include "acl/acl.h"
#include "acl/report.h"
#include "acl/sources.h"

#include <stdbool.h>

enum {
	LIST_BYTES_MAX = 256 << 20, /* of one file; some ten million prefixes */
	LIST_DEPTH_MAX = 16,        /* files open at a time, each included by the one before */
};

enum list_format {
	LIST_MYNETWORKS, /* mynetworks.h */
	LIST_CIDR,       /* a Postfix cidr table, cidr_table(5) */
};

/* Called in the order in which the entries stand, includes in their place. The file names are valid
 * during the call only. */
struct list_handler {
	void (*rule)(void *context, const struct acl_rule *rule);
	/* DUNNO in a table that is no include: where Postfix would stop without a rule */
	void (*dunno)(void *context, const struct prefix *prefix, const char *file, unsigned line);
	void *context;
};

/* Reads the list at path, which is named at file:line, and hands over every rule in it. A file that
 * comes up again with the same action is read once. Errors and warnings go to the report. Rules are
 * handed over even when others are bad: where there were errors, the caller has to refuse them all.
 * Each file is noted in sources, which may be NULL. Returns whether the order of the entries may
 * matter to Postfix: they do not all say the same. */
bool list_load(enum list_format format, const char *path, enum acl_action action, const char *file,
	unsigned line, const struct list_handler *handler, struct sources *sources,
	struct report *report);

#endif

/*
 * Loads a list file of an allow or deny list, with the files that it includes. Blocks on the disk,
 * so not for a thread that serves sessions.
 */
#ifndef ACL_LIST_H
#define ACL_LIST_H

#include "acl/acl.h"
#include "acl/report.h"
#include "acl/sources.h"

enum {
	LIST_BYTES_MAX = 256 << 20, /* of one file; some ten million prefixes */
	LIST_DEPTH_MAX = 16,        /* files open at a time, each included by the one before */
};

enum list_format {
	LIST_MYNETWORKS, /* mynetworks.h */
	LIST_CIDR,       /* a Postfix cidr table, cidr_table(5) */
};

/* Reads the list at path, which is named at file:line, and calls add for every rule in
 * it; the rule's file name is valid during the call only. A file that comes up again with the same
 * action is read once. Errors and warnings go to the report. Rules are handed over even when others
 * are bad: where there were errors, the caller has to refuse them all. Each file is noted in
 * sources, which may be NULL. */
void list_load(enum list_format format, const char *path, enum acl_action action, const char *file,
	unsigned line, void (*add)(void *context, const struct acl_rule *rule), void *context,
	struct sources *sources, struct report *report);

#endif

/*
 * Loads a list file of an allow or deny list, with the files that it includes. Blocks on the disk,
 * so not for a thread that serves sessions.
 */
#ifndef ACL_LIST_H
#define ACL_LIST_H

#include "acl/acl.h"
#include "acl/report.h"

enum {
	LIST_BYTES_MAX = 256 << 20, /* of one file; some ten million prefixes */
	LIST_DEPTH_MAX = 16,        /* files open at a time, each included by the one before */
};

/* Reads the mynetworks list at path, which is named at file:line, and calls add for every rule in
 * it; the rule's file name is valid during the call only. A file that comes up again with the same
 * action is read once. Errors and warnings go to the report. Rules are handed over even when others
 * are bad: where there were errors, the caller has to refuse them all. */
void list_load(const char *path, enum acl_action action, const char *file, unsigned line,
	void (*add)(void *context, const struct acl_rule *rule), void *context,
	struct report *report);

#endif

/*
 * Which of the files that a configuration was loaded from have changed, and whether it is time to
 * load them anew: once all of them have been quiet for WATCH_QUIET_MS, so that nobody's
 * half-written list is read. Pure: the caller brings the clock and what stat(2) said.
 *
 * A look is a watch_see for each file and one watch_due. A version of the files is offered once: it
 * takes another change, or watch_again, until they are due again.
 */
#ifndef LB_WATCH_H
#define LB_WATCH_H

#include "acl/sources.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	WATCH_QUIET_MS = 1000,
};

struct watched {
	char *path;
	struct file_stamp loaded; /* what is in force, or was refused, was read from it */
	struct file_stamp tried;  /* as it was when the files were due */
	struct file_stamp seen;   /* by the last look */
};

struct watch {
	struct watched *files;
	size_t count;
	size_t in_force; /* so many, the first, belong to what is in force; the rest to the refused
			  */
	size_t capacity;
	bool moved;          /* in this look a file was not as in the last one */
	uint64_t changed_ms; /* when the last such look was over */
};

/* Copies what it needs of the sources of what is in force. For watch_free; NULL without memory. */
struct watch *watch_new(const struct sources *sources);
void watch_free(struct watch *watch); /* NULL is fine */

/* What was due has been refused: the files that were read and do not belong to what is in force are
 * watched too, in place of those of an earlier refusal, since the fault may be in one of them.
 * Without memory they are not. */
void watch_refused(struct watch *watch, const struct sources *read);

/* What was due could not be loaded just now: all that is not in force counts as new again. */
void watch_again(struct watch *watch);

void watch_see(struct watch *watch, size_t index, const struct file_stamp *stamp);

/* Ends a look that lasted from one moment to the other. Returns the path of a file that has changed
 * when it is time to load, which the watch owns, or NULL. */
const char *watch_due(struct watch *watch, uint64_t began_ms, uint64_t ended_ms);

/* Notes all files as the last look saw them. */
void watch_note(const struct watch *watch, struct sources *seen);

#endif

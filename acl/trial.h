/*
 * Work that may crash, hang or eat all memory, done in a child process that is thrown away: what it
 * found out comes through a pipe.
 *
 * For any thread of a process with many: the child lives from fork(2) on in its one thread, with
 * all descriptors closed but the pipe, all signals blocked but its own faults, without a core dump,
 * and within limits that it can't outlast. Nothing depends on waitpid(2), which an event loop of
 * another thread may have called first.
 */
#ifndef ACL_TRIAL_H
#define ACL_TRIAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum {
	TRIAL_WHY_MAX = 256,
};

struct trial_limits {
	unsigned cpu_s;
	unsigned wall_s;
	uint64_t memory; /* bytes of address space, beyond what this process has */
};

/* Runs in the child. Writes what it found to out, and returns 0; or -1 with why. */
typedef int trial_fn(void *context, int out, char why[TRIAL_WHY_MAX]);

struct trial_note;

struct trial {
	struct trial_limits limits;
	pid_t pid;
	int in;
	struct trial_note *note; /* shared with the child */
	uint64_t deadline_ms;
	bool late;
};

/* Returns 0; or -1 with why, and then there is nothing to end. */
int trial_start(struct trial *trial, const struct trial_limits *limits, trial_fn *work,
	void *context, char why[TRIAL_WHY_MAX]);

/* Reads len bytes of what the child wrote. Returns 0, or -1 when there are no more; trial_end says
 * why. */
int trial_read(struct trial *trial, void *buf, size_t len);

/* Returns 0 when the work was done and returned 0; or -1 with why, which reads well after the name
 * of what was tried: "crashes its reader (Segmentation fault)". */
int trial_end(struct trial *trial, char why[TRIAL_WHY_MAX]);

/* For the child: writes all of it. Returns 0 or -1. */
int trial_write(int out, const void *buf, size_t len);

#endif

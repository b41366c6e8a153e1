/*
 * A session's claim on one of a pool's backends: which ones it has tried, and its place in the line
 * of those who wait. Part of the session's gate. Its worker may call claim_init and
 * claim_begin_round; everything else happens in the pool, under its mutex.
 */
#ifndef LB_CLAIM_H
#define LB_CLAIM_H

#include "acl/addr.h"

#include <stdbool.h>
#include <stdint.h>

enum {
	/* A mark stands for a backend as long as it belongs to the pool. Twice as many as a pool
	 * has backends: a mark is not given away again soon, so that what a session has tried under
	 * one configuration is not taken for another backend under the next. */
	MARKS_MAX = 512,
};

/* Backends that a session has had to do with, by their marks. */
struct tried {
	uint64_t bits[MARKS_MAX / 64];
};

bool tried_is_empty(const struct tried *tried);
bool tried_has(const struct tried *tried, unsigned mark);
void tried_add(struct tried *tried, unsigned mark);

struct claim {
	uint64_t client;    /* for the order of the backends by source (balance_source.h) */
	struct tried tried; /* in this round; to be read by its worker only */
	bool begins_round;
	bool has_picked;
	bool called; /* may find a backend now; atomic */
	bool in_line;
	struct claim *next, *prev; /* in the line */
};

void claim_init(struct claim *claim, const struct addr *client);

/* From the next pick on nothing counts as tried. */
void claim_begin_round(struct claim *claim);

/* Those who wait, first come first. */
struct line {
	struct claim *first, *last;
	unsigned count;
};

void line_join(struct line *line, struct claim *claim);  /* at the end; once in it, it stays */
void line_leave(struct line *line, struct claim *claim); /* if it is in it */

#endif

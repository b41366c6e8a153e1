/*
 * The commands whose replies are outstanding, in order (RFC 2920 section 3.2: a server answers all
 * of them, in the order in which they came). Kept as runs of the same verb: a message to a thousand
 * recipients takes three.
 *
 * Some runs have room in the struct. More are on the heap, until the last one is answered.
 */
#ifndef LB_PIPELINE_H
#define LB_PIPELINE_H

#include "lb/wire/command.h"

#include <stdbool.h>
#include <stdint.h>

enum {
	PIPELINE_MAX = 4095, /* commands */
	PIPELINE_INLINE = 8, /* runs without the heap */
};

/* Private. A run is a verb and how many of it, in a ring. */
struct pipeline {
	union {
		uint16_t few[PIPELINE_INLINE];
		uint16_t *many; /* when capacity is more than PIPELINE_INLINE */
	} runs;
	uint16_t capacity; /* of the ring, */
	uint16_t first;    /* the run to be answered next, */
	uint16_t used;     /* and how many runs there are */
	uint16_t count;    /* commands */
};

void pipeline_init(struct pipeline *pipeline);

/* Forgets them all, and frees what was on the heap. As after init. */
void pipeline_fini(struct pipeline *pipeline);

/* Adds a command, any up to VERB_BDAT_LAST. Returns -1 when there are PIPELINE_MAX already, or no
 * memory. */
int pipeline_push(struct pipeline *pipeline, enum verb verb);

/* The one to be answered next. There must be one. */
enum verb pipeline_first(const struct pipeline *pipeline);

/* Takes it. */
enum verb pipeline_pop(struct pipeline *pipeline);

bool pipeline_is_empty(const struct pipeline *pipeline);

#endif

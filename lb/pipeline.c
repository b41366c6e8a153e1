/*
 * A ring of runs that grows by doubling. Runs in the session's worker, the struct is the session's.
 */
#include "lb/pipeline.h"

#include <assert.h>
#include <stdlib.h>

enum {
	COUNT_BITS = 12,
	COUNT_MASK = (1 << COUNT_BITS) - 1,
};

_Static_assert(PIPELINE_MAX < 1 << COUNT_BITS, "all commands fit into one run");
_Static_assert(VERB_BDAT_LAST >> (16 - COUNT_BITS) == 0, "a verb fits beside the count");

void
pipeline_init(struct pipeline *pipeline)
{
	*pipeline = (struct pipeline){.capacity = PIPELINE_INLINE};
}

void
pipeline_fini(struct pipeline *pipeline)
{
	if (pipeline->capacity > PIPELINE_INLINE)
		free(pipeline->runs.many);
	pipeline_init(pipeline);
}

bool
pipeline_is_empty(const struct pipeline *pipeline)
{
	return pipeline->count == 0;
}

/* A run of the ring; 0 is the one to be answered next. */
static uint16_t *
run_at(struct pipeline *pipeline, unsigned index)
{
	uint16_t *runs =
		pipeline->capacity > PIPELINE_INLINE ? pipeline->runs.many : pipeline->runs.few;
	return &runs[(pipeline->first + index) % pipeline->capacity];
}

static int
grow(struct pipeline *pipeline)
{
	unsigned capacity = pipeline->capacity * 2U;
	uint16_t *runs = calloc(capacity, sizeof(*runs));
	if (!runs)
		return -1;
	for (unsigned i = 0; i < pipeline->used; i++)
		runs[i] = *run_at(pipeline, i);
	if (pipeline->capacity > PIPELINE_INLINE)
		free(pipeline->runs.many);
	pipeline->runs.many = runs;
	pipeline->capacity = (uint16_t)capacity;
	pipeline->first = 0;
	return 0;
}

int
pipeline_push(struct pipeline *pipeline, enum verb verb)
{
	if (pipeline->count == PIPELINE_MAX)
		return -1;
	uint16_t *last = run_at(pipeline, pipeline->used - 1U);
	if (pipeline->used > 0 && *last >> COUNT_BITS == (int)verb) {
		++*last;
	} else {
		if (pipeline->used == pipeline->capacity && grow(pipeline) < 0)
			return -1;
		*run_at(pipeline, pipeline->used++) = (uint16_t)(verb << COUNT_BITS | 1);
	}
	pipeline->count++;
	return 0;
}

enum verb
pipeline_first(const struct pipeline *pipeline)
{
	assert(pipeline->count > 0);
	return *run_at((struct pipeline *)pipeline, 0) >> COUNT_BITS;
}

enum verb
pipeline_pop(struct pipeline *pipeline)
{
	enum verb verb = pipeline_first(pipeline);
	uint16_t *run = run_at(pipeline, 0);
	--*run;
	if ((*run & COUNT_MASK) == 0) {
		pipeline->first = (uint16_t)((pipeline->first + 1) % pipeline->capacity);
		pipeline->used--;
	}
	if (--pipeline->count == 0)
		pipeline_fini(pipeline);
	return verb;
}

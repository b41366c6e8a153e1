/*
 * See tally.h.
 */
#include "lb/tally.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum {
	CACHE_LINE = 64,
};

struct tally {
	unsigned refs; /* atomic */
	unsigned blocks;
	size_t size;   /* of a block, bytes */
	size_t stride; /* from one to the next: whole cache lines */
	char *bytes;
};

struct tally *
tally_new(size_t size, unsigned workers)
{
	assert(size % sizeof(uint64_t) == 0);
	struct tally *tally = calloc(1, sizeof(*tally));
	if (!tally)
		return NULL;
	tally->refs = 1;
	tally->blocks = workers + 1;
	tally->size = size;
	tally->stride = (size + CACHE_LINE - 1) / CACHE_LINE * CACHE_LINE;
	tally->bytes = aligned_alloc(CACHE_LINE, tally->blocks * tally->stride);
	if (!tally->bytes) {
		free(tally);
		return NULL;
	}
	memset(tally->bytes, 0, tally->blocks * tally->stride);
	return tally;
}

struct tally *
tally_ref(struct tally *tally)
{
	__atomic_add_fetch(&tally->refs, 1, __ATOMIC_RELAXED);
	return tally;
}

void
tally_unref(struct tally *tally)
{
	if (!tally || __atomic_sub_fetch(&tally->refs, 1, __ATOMIC_ACQ_REL) > 0)
		return;
	free(tally->bytes);
	free(tally);
}

void *
tally_block(const struct tally *tally, unsigned worker)
{
	assert(worker < tally->blocks);
	return tally->bytes + worker * tally->stride;
}

void *
tally_block_of_main(const struct tally *tally)
{
	return tally_block(tally, tally->blocks - 1);
}

void
tally_sum(const struct tally *tally, void *sum)
{
	uint64_t *to = sum;
	memset(sum, 0, tally->size);
	for (unsigned i = 0; i < tally->blocks; i++) {
		const uint64_t *from = tally_block(tally, i);
		for (size_t j = 0; j < tally->size / sizeof(*to); j++)
			to[j] += __atomic_load_n(&from[j], __ATOMIC_RELAXED);
	}
}

/*
 * A tally: the counters of one thing, a listener or a backend, as a block of its own for each
 * thread that counts, so that counting costs no lock and shares no cache line. Whoever reads sums
 * the blocks up.
 *
 * A block is a struct of uint64_t and nothing else. Its counters are written by its thread alone,
 * and read by any. A counter may go down as well: it is the sum that is never negative.
 */
#ifndef LB_TALLY_H
#define LB_TALLY_H

#include <stddef.h>
#include <stdint.h>

struct tally;

/* All zero, for blocks of that many bytes, one a worker and one for the main thread; one reference.
 * NULL when there is no memory. */
struct tally *tally_new(size_t size, unsigned workers);

/* Any thread. */
struct tally *tally_ref(struct tally *tally);
void tally_unref(struct tally *tally); /* NULL is fine */

/* The block of a worker, from 0; as long as there is a reference. */
void *tally_block(const struct tally *tally, unsigned worker);
void *tally_block_of_main(const struct tally *tally);

/* Fills a block of the same kind with the sums. */
void tally_sum(const struct tally *tally, void *sum);

/* By the block's thread. */
static inline void
tally_add(uint64_t *counter, uint64_t count)
{
	uint64_t before = __atomic_load_n(counter, __ATOMIC_RELAXED);
	__atomic_store_n(counter, before + count, __ATOMIC_RELAXED);
}

#endif

/*
 * build/tracker_bench: what reading along costs (lb/tracker.h), without a session around it.
 * bench/tracker runs it and sums up. One thread.
 *
 *	tracker_bench BODY_SIZE
 *
 * A line on stdin begins a round, a line on stdout, as JSON, ends it. Before, every talk is read
 *once and looked at: if the tracker did not follow it to its end, it ends with 1.
 */
#include "acl/mem.h"
#include "bench/tracker_talk.h"
#include "lb/io/chunk.h"
#include "lb/metrics.h"
#include "lb/tracker.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum {
	MESSAGE_SIZE = 1024,
	MESSAGES = 10,
	BDAT_CHUNK_SIZE = 1 << 20,
	PIECE_SIZE = 65536,  /* and CHUNK_SIZE, by which the balancer receives */
	PARALLEL = 64,       /* sessions, of which each has its turn after the other */
	WARM_REPEATS = 100,  /* of so many sessions */
	COLD_REPEATS = 41,   /* of one */
	COLD_SIZE = 8 << 20, /* more than the caches of a core hold */
	CACHE_LINE = 64,
};

/* A session, as far as the pump reads along. */
struct reader {
	struct tracker tracker;
	struct backend_counts *counts;
	bool rests;
};

/* What has the times. */
struct bench {
	struct talk one, ten, bdat; /* small messages */
	struct talk bodies[MATTERS];
	struct talk chunks;
	struct reader readers[PARALLEL];
	struct backend_counts counts;
	uint8_t *cold;
};

/* Kept, so that nothing read can be left out. */
static volatile unsigned kept;

static double
cpu_ns(void)
{
	struct timespec now;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

/* What follows is what lb/pump.c does with a piece, but for moving it. */

static void
on_reply(void *context, enum verb verb, const struct reply_status *status)
{
	struct reader *reader = context;
	reader->rests = verb == VERB_DOT || verb == VERB_BDAT_LAST;
	backend_counts_reply(reader->counts, verb, status->code);
}

static void
reader_init(struct reader *reader, struct backend_counts *counts)
{
	reader->counts = counts;
	tracker_init(&reader->tracker);
	tracker_hold(&reader->tracker, HOLD_MAIL);
}

/* It stops at each MAIL, and who is within his limit passes. */
static void
read_client(struct reader *reader, const uint8_t *bytes, size_t len)
{
	reader->rests = false;
	size_t at = tracker_read_client(&reader->tracker, bytes, len);
	while (at < len) {
		tracker_pass_mail(&reader->tracker);
		at += tracker_read_client(&reader->tracker, bytes + at, len - at);
	}
}

/* The place is asked for to know whether a final dot awaits its reply, */
static void
read_relay(struct reader *reader, const uint8_t *bytes, size_t len)
{
	kept += tracker_place(&reader->tracker);
	tracker_read_relay(&reader->tracker, bytes, len, on_reply, reader);
}

/* and for each piece's deadline. */
static void
read_turn(struct reader *reader, const struct talk *talk, const struct turn *turn, size_t piece)
{
	for (size_t at = 0; at < turn->len; at += piece) {
		const uint8_t *bytes = talk->bytes + turn->from + at;
		size_t len = turn->len - at < piece ? turn->len - at : piece;
		if (turn->is_relay)
			read_relay(reader, bytes, len);
		else
			read_client(reader, bytes, len);
		kept += tracker_place(&reader->tracker);
	}
}

/* Many sessions, each a turn after the other's. */
static void
read_talks(struct bench *bench, const struct talk *talk, size_t sessions, size_t piece)
{
	for (size_t i = 0; i < sessions; i++)
		reader_init(&bench->readers[i], &bench->counts);
	for (size_t turn = 0; turn < talk->count; turn++)
		for (size_t i = 0; i < sessions; i++)
			read_turn(&bench->readers[i], talk, &talk->turns[turn], piece);
	for (size_t i = 0; i < sessions; i++)
		tracker_fini(&bench->readers[i].tracker);
}

/* CPU nanoseconds a session, of many in a row. */
static double
time_warm(struct bench *bench, const struct talk *talk)
{
	double start = cpu_ns();
	for (size_t i = 0; i < WARM_REPEATS; i++)
		read_talks(bench, talk, PARALLEL, CHUNK_SIZE);
	return (cpu_ns() - start) / (WARM_REPEATS * PARALLEL);
}

/* Turns everything else out of the caches. */
static void
cool(struct bench *bench)
{
	for (size_t i = 0; i < COLD_SIZE; i += CACHE_LINE)
		bench->cold[i]++;
}

/* Nanoseconds of one session before whose every turn the caches were filled with other things. The
 * same without reading anything is taken off: what asking for the time costs. */
static double
time_cold_once(struct bench *bench, const struct talk *talk)
{
	struct reader *reader = bench->readers;
	double total = 0;
	reader_init(reader, &bench->counts);
	for (size_t i = 0; i < talk->count; i++) {
		cool(bench);
		double start = cpu_ns();
		total -= cpu_ns() - start;
		cool(bench);
		start = cpu_ns();
		read_turn(reader, talk, &talk->turns[i], CHUNK_SIZE);
		total += cpu_ns() - start;
	}
	tracker_fini(&reader->tracker);
	return total;
}

static int
compare(const void *a, const void *b)
{
	double left = *(const double *)a, right = *(const double *)b;
	return (left > right) - (left < right);
}

static double
time_cold(struct bench *bench, const struct talk *talk)
{
	double times[COLD_REPEATS];
	for (size_t i = 0; i < COLD_REPEATS; i++)
		times[i] = time_cold_once(bench, talk);
	qsort(times, COLD_REPEATS, sizeof(*times), compare);
	return times[COLD_REPEATS / 2];
}

/* CPU nanoseconds of one session. */
static double
time_whole(struct bench *bench, const struct talk *talk, size_t piece)
{
	double start = cpu_ns();
	read_talks(bench, talk, 1, piece);
	return cpu_ns() - start;
}

static void
print_small(struct bench *bench, const char *name, const struct talk *talk)
{
	printf("\"%s\": {\"ns\": %.1f, \"cold_ns\": %.1f}, ", name, time_warm(bench, talk),
		time_cold(bench, talk));
}

static void
print_large(struct bench *bench, const char *name, const struct talk *talk, const char *end)
{
	double bytes = (double)talk->len;
	double small = time_whole(bench, talk, CHUNK_SIZE);
	double large = time_whole(bench, talk, PIECE_SIZE);
	printf("\"%s\": {\"ns\": %.0f, \"gb_per_s_16k\": %.4f, \"gb_per_s_64k\": %.4f}%s", name,
		small, bytes / small, bytes / large, end);
}

static void
run_round(struct bench *bench)
{
	static const char *const names[MATTERS] = {
		[MATTER_TEXT] = "text",
		[MATTER_BASE64] = "base64",
		[MATTER_DOTS] = "dots",
		[MATTER_BARE] = "bare",
		[MATTER_ALMOST] = "almost",
	};
	printf("{");
	print_small(bench, "one", &bench->one);
	print_small(bench, "ten", &bench->ten);
	print_small(bench, "bdat", &bench->bdat);
	for (size_t i = 0; i < MATTERS; i++)
		print_large(bench, names[i], &bench->bodies[i], ", ");
	print_large(bench, "chunks", &bench->chunks, "}\n");
	fflush(stdout);
}

/* In pieces of any size the tracker must see every message accepted, and the goodbye. */
static void
check(struct bench *bench, const struct talk *talk, size_t piece)
{
	read_talks(bench, talk, 1, piece);
	const struct tracker *tracker = &bench->readers[0].tracker;
	if (tracker->messages[OUTCOME_ACCEPTED] == talk->messages &&
		tracker_messages(tracker) == talk->messages && tracker->last.code == 221 &&
		tracker_place(tracker) == TRACKER_BUSY)
		return;
	fprintf(stderr, "tracker_bench: a talk of %zu bytes was not followed\n", talk->len);
	exit(1);
}

static void
check_all(struct bench *bench)
{
	check(bench, &bench->one, CHUNK_SIZE);
	check(bench, &bench->ten, CHUNK_SIZE);
	check(bench, &bench->bdat, CHUNK_SIZE);
	for (size_t i = 0; i < MATTERS; i++) {
		check(bench, &bench->bodies[i], CHUNK_SIZE);
		check(bench, &bench->bodies[i], PIECE_SIZE);
	}
	check(bench, &bench->chunks, CHUNK_SIZE);
	check(bench, &bench->chunks, PIECE_SIZE);
}

static void
bench_init(struct bench *bench, size_t body_size)
{
	talk_init(&bench->one, MATTER_TEXT, MESSAGE_SIZE, 1);
	talk_init(&bench->ten, MATTER_TEXT, MESSAGE_SIZE, MESSAGES);
	talk_init_bdat(&bench->bdat, MESSAGE_SIZE, BDAT_CHUNK_SIZE);
	for (size_t i = 0; i < MATTERS; i++)
		talk_init(&bench->bodies[i], (enum matter)i, body_size, 1);
	talk_init_bdat(&bench->chunks, body_size, BDAT_CHUNK_SIZE);
	bench->cold = mem_new(COLD_SIZE, 1);
}

static void
bench_fini(struct bench *bench)
{
	talk_fini(&bench->one);
	talk_fini(&bench->ten);
	talk_fini(&bench->bdat);
	for (size_t i = 0; i < MATTERS; i++)
		talk_fini(&bench->bodies[i]);
	talk_fini(&bench->chunks);
	free(bench->cold);
}

int
main(int argc, char **argv)
{
	static struct bench bench;
	if (argc != 2) {
		fprintf(stderr, "usage: tracker_bench BODY_SIZE\n");
		return 2;
	}
	bench_init(&bench, strtoul(argv[1], NULL, 10));
	check_all(&bench);
	char line[2];
	while (fgets(line, sizeof(line), stdin))
		run_round(&bench);
	bench_fini(&bench);
	return 0;
}

/*
 * See trouble.h. No memory of its own, no locks.
 */
#include "lb/trouble.h"

/* A share of the replies that is far above the peers', in hundredths. */
struct bar {
	unsigned percent;       /* of all replies */
	unsigned times_percent; /* of the peers' share */
};

static const struct bar begins = {33, 300}, lasts = {10, 150};

enum {
	WINDOWS_TO_BEGIN = 2,
};

static const enum verb verbs[] = {
	[STAGE_GREETING] = VERB_GREETING,
	[STAGE_MAIL] = VERB_MAIL,
	[STAGE_RCPT] = VERB_RCPT,
	[STAGE_DOT] = VERB_DOT,
};

const char *
stage_name(enum stage stage)
{
	return verb_name(verbs[stage]);
}

struct stage_counts
stage_counts_of(const struct backend_counts *counts, enum stage stage)
{
	const uint64_t *replies = counts->replies[verbs[stage]];
	const uint64_t *messages = counts->messages;
	struct stage_counts sum = {.deferred = replies[REPLY_CLASS_4]};
	for (int i = 0; i < REPLY_CLASSES; i++)
		sum.replies += replies[i];
	if (stage != STAGE_DOT)
		return sum;
	return (struct stage_counts){
		.replies = messages[OUTCOME_ACCEPTED] + messages[OUTCOME_DEFERRED] +
			   messages[OUTCOME_REJECTED],
		.deferred = messages[OUTCOME_DEFERRED],
	};
}

/* The latest 4xx. */

void
deferral_note(struct deferrals *deferrals, enum verb verb, const struct reply_status *status)
{
	uint64_t word = (uint64_t)status->code << 40 | (uint64_t)status->subject << 24 |
			(uint64_t)status->detail << 8 | status->class;
	if (verb == VERB_BDAT_LAST)
		verb = VERB_DOT;
	for (int i = 0; i < STAGES; i++) {
		if (verbs[i] == verb)
			__atomic_store_n(&deferrals->words[i], word, __ATOMIC_RELAXED);
	}
}

struct reply_status
deferral_latest(const struct deferrals *deferrals, enum stage stage)
{
	uint64_t word = __atomic_load_n(&deferrals->words[stage], __ATOMIC_RELAXED);
	return (struct reply_status){
		.code = (uint16_t)(word >> 40),
		.subject = (uint16_t)(word >> 24),
		.detail = (uint16_t)(word >> 8),
		.class = (uint8_t)word,
	};
}

/* Windows. */

static void
add(struct stage_counts *sum, const struct stage_counts *more)
{
	sum->replies += more->replies;
	sum->deferred += more->deferred;
}

static struct stage_counts
difference(const struct stage_counts *counts, const struct stage_counts *less)
{
	return (struct stage_counts){
		.replies = counts->replies - less->replies,
		.deferred = counts->deferred - less->deferred,
	};
}

static bool
is_enough(const struct stage_counts *counts)
{
	return counts->replies >= TROUBLE_REPLIES;
}

static bool
is_above(const struct trouble *trouble, const struct bar *bar)
{
	const struct stage_counts *own = &trouble->own, *peers = &trouble->peers;
	bool is_much = own->deferred * 100 >= own->replies * bar->percent;
	if (!is_enough(peers))
		return is_much;
	return is_much && own->deferred * peers->replies * 100 >=
				  own->replies * peers->deferred * bar->times_percent;
}

static enum trouble_news
judge_beginning(struct trouble *trouble, const struct reply_status *latest)
{
	bool enough = is_enough(&trouble->own) && is_enough(&trouble->peers);
	trouble->judged = enough || trouble->looks == TROUBLE_LOOKS_MAX;
	if (!trouble->judged)
		return TROUBLE_NONE;
	trouble->bad = enough && is_above(trouble, &begins) ? trouble->bad + 1 : 0;
	if (trouble->bad < WINDOWS_TO_BEGIN || latest->code == 0)
		return TROUBLE_NONE;
	trouble->lasts = true;
	trouble->reply = *latest;
	trouble->bad = 0;
	return TROUBLE_BEGINS;
}

static enum trouble_news
judge_end(struct trouble *trouble)
{
	bool enough = is_enough(&trouble->own);
	trouble->judged = enough || trouble->looks == TROUBLE_LOOKS_MAX;
	if (!trouble->judged || (enough && is_above(trouble, &lasts)))
		return TROUBLE_NONE;
	trouble->lasts = false;
	return TROUBLE_ENDS;
}

struct stage_counts
trouble_see(struct trouble *trouble, const struct stage_counts *now)
{
	trouble->growth = (struct stage_counts){.replies = 0};
	if (trouble->begun)
		trouble->growth = difference(now, &trouble->seen);
	trouble->begun = true;
	trouble->seen = *now;
	return trouble->growth;
}

enum trouble_news
trouble_judge(
	struct trouble *trouble, const struct stage_counts *all, const struct reply_status *latest)
{
	if (trouble->judged) {
		trouble->own = trouble->peers = (struct stage_counts){.replies = 0};
		trouble->looks = 0;
	}
	struct stage_counts peers = difference(all, &trouble->growth);
	add(&trouble->own, &trouble->growth);
	add(&trouble->peers, &peers);
	trouble->looks++;
	return trouble->lasts ? judge_end(trouble) : judge_beginning(trouble, latest);
}

/*
 * Trouble: a relay that answers but fails (disk full, table broken), which neither its probes nor
 * its greetings tell. At each stage of a conversation a backend's share of 4xx replies is held
 * against that of its peers, the other backends of its pool all together.
 *
 * Looks, at even intervals, add what was replied meanwhile to a window, until there is enough to
 * judge by: TROUBLE_REPLIES of the backend's, and as many of its peers'. What is not enough after
 * TROUBLE_LOOKS_MAX looks says nothing, and the window begins anew.
 *
 * A trouble begins with the second window in a row in which at least 33 % of the backend's replies
 * are 4xx, and that is three times its peers' share: one client's bad recipients in one session
 * shall not do. So what all relays say alike, greylisting for one, is none; nor is there any in a
 * pool of one, or where most fail alike.
 *
 * It is over with a window in which the share is below 10 %, or below one and a half times its
 * peers': well apart from where it begins, so that it does not come and go. Where the peers say too
 * little the first counts alone. It is over too when a window ends without enough replies: nothing
 * tells any more that it lasts.
 *
 * Plain counts, no clock and no log: lb/troubles.c has them. All but deferral_* is the main
 * thread's.
 */
#ifndef LB_TROUBLE_H
#define LB_TROUBLE_H

#include "lb/metrics.h"
#include "lb/wire/reply_reader.h"

#include <stdbool.h>
#include <stdint.h>

enum stage {
	STAGE_GREETING,
	STAGE_MAIL,
	STAGE_RCPT,
	STAGE_DOT, /* or the last BDAT: what becomes of the message. A BDAT before is no stage */
	STAGES,
};

enum {
	TROUBLE_REPLIES = 20,
	TROUBLE_LOOKS_MAX = 90,
	TROUBLE_INTERVAL_S = 10, /* between looks: a window lasts 15 minutes at most */
};

/* As in VERB_GREETING and so on: the stage's name, for people. */
const char *stage_name(enum stage stage);

/* Replies at a stage, and how many of them were 4xx. */
struct stage_counts {
	uint64_t replies, deferred;
};

struct stage_counts stage_counts_of(const struct backend_counts *counts, enum stage stage);

/* The latest 4xx of a backend at each stage, as one word each, so that any thread may write and
 * read it at any time. All zero: none yet. */
struct deferrals {
	uint64_t words[STAGES]; /* atomic */
};

/* The backend's reply to this was a 4xx; of no effect where that is no stage. */
void deferral_note(struct deferrals *deferrals, enum verb verb, const struct reply_status *status);

/* Code 0 for none. */
struct reply_status deferral_latest(const struct deferrals *deferrals, enum stage stage);

/* One backend at one stage. All zero at first. */
struct trouble {
	bool lasts;
	struct reply_status reply;      /* while it lasts: the latest 4xx when it began */
	struct stage_counts own, peers; /* of the window that the latest look ended, or added to */
	/* Private. */
	struct stage_counts seen, growth;
	bool begun;     /* there was a look */
	bool judged;    /* the window has ended */
	unsigned looks; /* at the window */
	unsigned bad;   /* windows in a row */
};

enum trouble_news {
	TROUBLE_NONE,
	TROUBLE_BEGINS,
	TROUBLE_ENDS,
};

/* A look is in two steps: first at what each backend has replied in all, which returns how much
 * more that is than at the look before (nothing at the first one); */
struct stage_counts trouble_see(struct trouble *trouble, const struct stage_counts *now);

/* then, with the sum of that for all of the pool, at each of them. latest: for the reply; without
 * one no trouble begins. */
enum trouble_news trouble_judge(
	struct trouble *trouble, const struct stage_counts *all, const struct reply_status *latest);

#endif

/*
 * Denied clients. Worker's thread, but for the quota, which all workers share.
 */
#include "lb/denials.h"

#include "lb/clock.h"
#include "lb/denied.h"
#include "lb/log.h"
#include "lb/session.h"
#include "lb/wall.h"

#include <stdbool.h>

enum {
	LINES_A_SECOND = 10,
	TOLD_BITS = 32, /* of the quota's word: how many asked; the rest is the second */
};

static const double SUMMARY_S = 1;

static const char *const action_names[] = {
	[ON_DENY_421] = "421",
	[ON_DENY_554] = "554",
	[ON_DENY_RESET] = "reset",
	[ON_DENY_DROP] = "drop",
};

/* Takes one of this second's lines, if there is one left. */
static bool
take_line(uint64_t *quota)
{
	uint64_t second = clock_ms() / 1000;
	uint64_t before = __atomic_load_n(quota, __ATOMIC_RELAXED);
	/* Where that fails another thread was faster. */
	if (before >> TOLD_BITS != second)
		__atomic_compare_exchange_n(quota, &before, second << TOLD_BITS, false,
			__ATOMIC_RELAXED, __ATOMIC_RELAXED);
	return (uint32_t)__atomic_fetch_add(quota, 1, __ATOMIC_RELAXED) < LINES_A_SECOND;
}

static void
sum_up(struct denials *denials)
{
	struct log_line line;
	log_begin(&line, LOG_LEVEL_INFO, "denied");
	log_text(&line, "id", NULL);
	log_text(&line, "listener", NULL);
	log_text(&line, "client", NULL);
	log_text(&line, "rule", NULL);
	log_text(&line, "action", NULL);
	log_number(&line, "count", denials->untold);
	log_end(&line);
	denials->untold = 0;
}

static void
on_summary(struct ev_loop *loop, ev_timer *timer, int ready)
{
	(void)loop;
	(void)ready;
	sum_up(timer->data);
}

int
denials_init(struct denials *denials, struct ev_loop *loop, uint64_t *quota)
{
	*denials = (struct denials){.loop = loop, .quota = quota};
	ev_init(&denials->summary, on_summary);
	denials->summary.data = denials;
	denials->sources = denied_new(DENIED_SOURCES);
	return denials->sources ? 0 : -1;
}

void
denials_fini(struct denials *denials)
{
	denied_free(denials->sources);
}

void
denials_stop(struct denials *denials)
{
	ev_timer_stop(denials->loop, &denials->summary);
	if (denials->untold > 0)
		sum_up(denials);
}

void
denials_add(struct denials *denials, const struct session *session, const struct verdict *verdict)
{
	denied_add(denials->sources, session->listener->name, &session->source.addr, wall_ms());
	if (!take_line(denials->quota)) {
		if (denials->untold++ > 0)
			return;
		ev_timer_set(&denials->summary, SUMMARY_S, 0);
		ev_timer_start(denials->loop, &denials->summary);
		return;
	}
	char rule[512];
	char id[SESSION_ID_MAX];
	struct log_line line;
	log_begin(&line, LOG_LEVEL_INFO, "denied");
	log_text(&line, "id", session_id_format(session, id));
	log_text(&line, "listener", session->listener->name);
	log_endpoint(&line, "client", &session->source);
	log_text(&line, "rule", verdict_format(verdict, rule, sizeof(rule)));
	log_text(&line, "action", action_names[session->listener->on_deny]);
	log_end(&line);
}

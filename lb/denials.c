/*
 * Clients that are turned away. Worker's thread.
 */
#include "lb/denials.h"

#include "lb/clock.h"
#include "lb/denied.h"
#include "lb/limits.h"
#include "lb/log.h"
#include "lb/session.h"
#include "lb/session_log.h"
#include "lb/wall.h"

static const char *const action_names[] = {
	[ON_DENY_421] = "421",
	[ON_DENY_554] = "554",
	[ON_DENY_RESET] = "reset",
	[ON_DENY_DROP] = "drop",
};

static void
log_client(struct log_line *line, const struct session *session)
{
	char id[SESSION_ID_MAX];
	log_text(line, "id", session_id_format(session, id));
	log_text(line, "listener", session->listener->name);
	log_endpoint(line, "client", &session->source);
}

/* The line about so many, with the keys that the line about one has. It is no client's. */
static void
log_sum(const char *event, const char *what, const char *how, uint64_t count)
{
	struct log_line line;
	log_begin(&line, LOG_LEVEL_INFO, event);
	log_text(&line, "id", NULL);
	log_text(&line, "listener", NULL);
	log_text(&line, "client", NULL);
	log_text(&line, what, NULL);
	log_text(&line, how, NULL);
	log_number(&line, "count", count);
	log_end(&line);
}

static void
sum_up_denied(uint64_t count)
{
	log_sum("denied", "rule", "action", count);
}

static void
sum_up_limited(uint64_t count)
{
	log_sum("limited", "limit", "rate", count);
}

int
denials_init(struct denials *denials, struct ev_loop *loop, struct denial_quotas *quotas)
{
	ration_init(&denials->denied, loop, &quotas->denied, sum_up_denied);
	ration_init(&denials->limited, loop, &quotas->limited, sum_up_limited);
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
	ration_stop(&denials->denied);
	ration_stop(&denials->limited);
}

void
denials_add(struct denials *denials, const struct session *session, const struct verdict *verdict)
{
	denied_add(denials->sources, session->listener->name, &session->source.addr, wall_ms());
	if (!ration_take(&denials->denied))
		return;
	char rule[512];
	struct log_line line;
	log_begin_client(&line, LOG_LEVEL_INFO, "denied", clock_us() - session->began_us);
	log_client(&line, session);
	log_text(&line, "rule", verdict_format(verdict, rule, sizeof(rule)));
	log_text(&line, "action", action_names[session->listener->on_deny]);
	log_end(&line);
}

void
denials_limit(struct denials *denials, const struct session *session, enum limit limit,
	const struct rate_conf *rate)
{
	if (!ration_take(&denials->limited))
		return;
	char text[RATE_TEXT_MAX];
	struct log_line line;
	log_begin(&line, LOG_LEVEL_INFO, "limited");
	log_client(&line, session);
	log_text(&line, "limit", limit_name(limit));
	log_text(&line, "rate", rate->count ? limits_rate_format(rate, text) : NULL);
	log_end(&line);
}

/*
 * See attempt_tls.h. Worker's thread.
 */
#include "lb/attempt_tls.h"

#include "lb/attempt.h"
#include "lb/gate.h"
#include "lb/io/tls.h"
#include "lb/session.h"
#include "lb/view.h"
#include "lb/worker.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

int
attempt_secure(struct session *session)
{
	const struct pool_conf *conf = session->listener->pool;
	struct endpoint to = session_relay_endpoint(session);
	SSL *ssl = trust_open(conf->trust, conf->tls_name, &to);
	if (ssl && tls_start(&session->backend, ssl) == 0)
		return 0;
	attempt_fail_by_errno(session, ENOMEM);
	return -1;
}

static void
say(struct session *session, const char *words, size_t len)
{
	if (conn_send_whole(&session->backend, words, len) < 0)
		attempt_fail_by_errno(session, errno);
}

void
attempt_upgrade(struct session *session, size_t behind)
{
	struct attempt *attempt = gate_attempt(session);
	char words[UPGRADE_WORDS_MAX];
	const char *hostname = worker_hostname(view_worker(session->view));
	struct chunk *last = attempt->held->next ? attempt->held->next : attempt->held;
	last->len -= behind;
	attempt->upgrades = true;
	upgrade_init(&attempt->upgrade);
	int len = snprintf(words, sizeof(words), "EHLO %.*s\r\n",
		(int)(sizeof(words) - sizeof("EHLO \r\n")), hostname);
	say(session, words, (size_t)len);
}

/* It gets to know that we leave; its answer is not awaited. */
static void
give_up_upgrade(struct session *session, struct attempt *attempt, enum upgrade_step step)
{
	static const char quit[] = "QUIT\r\n";
	char reply[REPLY_STATUS_TEXT_MAX];
	conn_send_whole(&session->backend, quit, sizeof(quit) - 1);
	attempt_fail(session, CAUSE_TLS,
		step == UPGRADE_MALFORMED
			? NULL
			: reply_status_format(&attempt->upgrade.reply.status, reply),
		upgrade_why(step));
}

void
attempt_go_on_upgrading(struct session *session, struct chunk *chunk)
{
	struct attempt *attempt = gate_attempt(session);
	enum upgrade_step step = upgrade_feed(&attempt->upgrade, chunk->data, chunk->len);
	chunk_put(chunk);
	switch (step) {
	case UPGRADE_WAIT:
		break;
	case UPGRADE_ASK:
		say(session, upgrade_words, strlen(upgrade_words));
		break;
	case UPGRADE_READY:
		attempt_secure(session);
		break;
	case UPGRADE_NOT_OFFERED:
	case UPGRADE_REFUSED:
	case UPGRADE_MALFORMED:
		give_up_upgrade(session, attempt, step);
		break;
	}
}

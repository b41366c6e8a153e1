/*
 * See session_log.h.
 */
#include "lb/session_log.h"

#include "conf/profile.h"
#include "lb/clock.h"
#include "lb/log.h"
#include "lb/starttls.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const char *const phase_names[] = {
	[PHASE_SCREEN] = "screen",
	[PHASE_RECV_PROXY] = "recv_proxy",
	[PHASE_HANDSHAKE] = "handshake",
	[PHASE_QUEUE] = "queue",
	[PHASE_PAUSE] = "pause",
	[PHASE_CONNECT] = "connect",
	[PHASE_GREETING] = "greeting",
	[PHASE_PUMP] = "pump",
	[PHASE_FLUSH] = "flush",
	[PHASE_CLOSED] = "closed",
};

const char *
phase_name(enum phase phase)
{
	return phase_names[phase];
}

const char *
session_id_format(const struct session *session, char buf[SESSION_ID_MAX])
{
	snprintf(buf, SESSION_ID_MAX, "%016" PRIx64, session->id);
	return buf;
}

void
session_log_phase(const struct session *session)
{
	struct log_line line;
	char id[SESSION_ID_MAX];
	log_begin(&line, LOG_LEVEL_DEBUG, "phase");
	if (!line.wanted)
		return;
	log_text(&line, "id", session_id_format(session, id));
	log_text(&line, "phase", phase_name(session->phase));
	log_end(&line);
}

const char *
session_place_name(const struct session *session)
{
	bool is_served = session->greeted && !session->lingers;
	return is_served ? tracker_place_name(tracker_place(&session->tracker)) : NULL;
}

void
session_log_failed_begin(
	const struct listener_conf *listener, const struct endpoint *source, int error)
{
	struct log_line line;
	log_begin(&line, LOG_LEVEL_ERROR, "accept");
	log_text(&line, "listener", listener->name);
	log_endpoint(&line, "client", source);
	log_text(&line, "detail", strerror(error));
	log_end(&line);
}

static void
log_messages(struct log_line *line, const struct session *session)
{
	const struct tracker *tracker = &session->tracker;
	const uint32_t *messages = tracker->messages;
	char reply[REPLY_STATUS_TEXT_MAX];
	bool known = session->greeted;
	bool replied = known && tracker->last.code > 0;
	log_number(line, "messages", known ? tracker_messages(tracker) : LOG_NONE);
	log_number(line, "accepted", known ? messages[OUTCOME_ACCEPTED] : LOG_NONE);
	log_number(line, "deferred", known ? messages[OUTCOME_DEFERRED] : LOG_NONE);
	log_number(line, "rejected", known ? messages[OUTCOME_REJECTED] : LOG_NONE);
	log_text(line, "last_reply", replied ? reply_status_format(&tracker->last, reply) : NULL);
}

static void
log_tls(struct log_line *line, const struct session *session)
{
	char text[PROFILE_TEXT_MAX];
	uint16_t client = session->client.cipher, relay = session->backend.cipher;
	log_text(line, "tls", client ? profile_format(client, text) : NULL);
	log_text(line, "backend_tls", relay ? profile_format(relay, text) : NULL);
	log_text(line, "sni", client ? starttls_name(session) : NULL);
	log_text(line, "resumed", !client ? NULL : session->client.resumed ? "yes" : "no");
}

void
session_log_end(const struct session *session)
{
	struct log_line line;
	char id[SESSION_ID_MAX];
	bool served = session->relay != NULL, greeted = session->greeted;
	uint64_t age_us = clock_us() - session->began_us;
	struct endpoint relay = {.port = 0};
	if (served)
		relay = session_relay_endpoint(session);
	log_begin_client(&line, LOG_LEVEL_INFO, "session", age_us);
	log_text(&line, "id", session_id_format(session, id));
	log_text(&line, "listener", session->listener->name);
	log_endpoint(&line, "client", &session->source);
	log_text(&line, "pool", session->listener->pool->name);
	log_text(&line, "backend", served ? session->relay->name : NULL);
	log_endpoint(&line, "backend_addr", &relay);
	log_number(&line, "attempts", session->attempts);
	log_text(&line, "result", session_result_names[session->result]);
	log_text(&line, "end", session_end_names[session->end]);
	log_duration(&line, "queue_ms", session->queue_ms * UINT64_C(1000));
	log_duration(&line, "connect_ms", greeted ? session->connect_us : LOG_NONE);
	log_duration(&line, "greeting_ms", greeted ? session->greeting_us : LOG_NONE);
	log_duration(&line, "duration_ms", age_us);
	log_number(&line, "bytes_in", session->bytes_in);
	log_number(&line, "bytes_out", session->bytes_out);
	log_messages(&line, session);
	log_tls(&line, session);
	log_text(&line, "opaque", greeted ? tracker_opaque_name(session->tracker.opaque) : NULL);
	log_duration(&line, "wait_ms", greeted ? session->wait_us : LOG_NONE);
	log_end(&line);
}

void
session_log_fault(const struct session *session, const char *event, const char *why)
{
	struct log_line line;
	char id[SESSION_ID_MAX];
	log_begin(&line, LOG_LEVEL_WARNING, event);
	log_text(&line, "id", session_id_format(session, id));
	log_text(&line, "listener", session->listener->name);
	log_endpoint(&line, "client", &session->source);
	log_text(&line, "detail", why);
	log_end(&line);
}

void
session_log_cut(const struct session *session)
{
	struct log_line line;
	char id[SESSION_ID_MAX];
	log_begin(&line, LOG_LEVEL_WARNING, "cut");
	log_text(&line, "id", session_id_format(session, id));
	log_text(&line, "listener", session->listener->name);
	log_endpoint(&line, "client", &session->source);
	log_text(&line, "pool", session->listener->pool->name);
	log_text(&line, "backend", session->relay ? session->relay->name : NULL);
	log_text(&line, "phase", phase_name(session->phase));
	log_text(&line, "place", session_place_name(session));
	log_end(&line);
}

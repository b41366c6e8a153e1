/*
 * See starttls.h. Its own memory is a session's as long as it is greeted. Worker's thread.
 */
#include "lb/starttls.h"

#include "lb/handshake.h"
#include "lb/io/tls.h"
#include "lb/pump.h"
#include "lb/session.h"
#include "lb/session_counts.h"
#include "lb/session_log.h"
#include "lb/view.h"
#include "lb/wire/reply.h"
#include "lb/worker.h"

#include <stdlib.h>
#include <string.h>

bool
starttls_is_on(const struct session *session)
{
	return session->client.cipher;
}

/* Nothing of a message may pass yet. */
static bool
is_required(const struct session *session)
{
	return session->listener->tls == TLS_STARTTLS_REQUIRED && !starttls_is_on(session);
}

static void
set_holds(struct session *session)
{
	bool all = is_required(session) || session->starttls->needs_ehlo;
	tracker_hold(&session->tracker, all ? HOLD_AUTH : HOLD_STARTTLS);
}

static const char *
asked_name(const struct session *session)
{
	const SSL *ssl = tls_of(&session->client);
	return ssl ? SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name) : NULL;
}

/* The conn has it only as long as it is open. */
static void
keep_name(struct session *session)
{
	const char *name = asked_name(session);
	if (name)
		session->starttls->name = strdup(name);
}

const char *
starttls_name(const struct session *session)
{
	return session->starttls ? session->starttls->name : asked_name(session);
}

int
starttls_begin(struct session *session)
{
	if (session->listener->tls == TLS_OFF)
		return 0;
	session->starttls = calloc(1, sizeof(*session->starttls));
	if (!session->starttls)
		return -1;
	keep_name(session);
	set_holds(session);
	return 0;
}

void
starttls_end(struct session *session)
{
	if (!session->starttls)
		return;
	chunk_put(session->starttls->rest);
	chunk_put(session->starttls->ehlo);
	free(session->starttls->name);
	free(session->starttls);
	session->starttls = NULL;
}

/* The client's side. */

const uint8_t *
starttls_word(const struct session *session, size_t *len)
{
	*len = session->starttls ? session->starttls->word_len : 0;
	return *len ? session->starttls->word : NULL;
}

/* The command that is kept, or would be, and how long its line is behind the word; 0 when it is not
 * whole. */
static enum verb
read_command(const struct starttls *starttls, const uint8_t *rest, size_t len, size_t *line_len)
{
	struct command command;
	command_init(&command);
	if (starttls->word_len > 0)
		command_feed(&command, starttls->word, starttls->word_len);
	*line_len = len > 0 ? command_feed(&command, rest, len) : 0;
	return command.verb;
}

bool
starttls_answers(const struct session *session, const struct chunk *chunk, size_t at)
{
	const struct starttls *starttls = session->starttls;
	size_t line_len;
	if (!starttls)
		return false;
	struct starttls without_word = {.word_len = 0};
	enum verb verb = read_command(
		at > 0 ? &without_word : starttls, chunk->data + at, chunk->len - at, &line_len);
	if (verb == VERB_MAIL)
		return is_required(session) || starttls->needs_ehlo;
	return verb == VERB_STARTTLS || verb == VERB_AUTH;
}

struct chunk *
starttls_copy(struct session *session, const void *bytes, size_t len)
{
	struct chunk_pool *chunks = &worker_io(view_worker(session->view))->chunks;
	struct chunk *chunk = len > CHUNK_SIZE ? chunk_get_large(chunks) : chunk_get(chunks);
	if (!chunk)
		return NULL;
	memcpy(chunk->bytes, bytes, len);
	chunk->len = len;
	return chunk;
}

struct chunk *
starttls_give_up(struct session *session, struct chunk *list)
{
	chunk_put_all(list);
	session_decide(session, RESULT_ERROR, END_BALANCER);
	session_close(session);
	return NULL;
}

/* The word that was held back has turned out to be a command of the relay's. */
static struct chunk *
take_word(struct session *session)
{
	struct starttls *starttls = session->starttls;
	struct chunk *chunk = starttls_copy(session, starttls->word, starttls->word_len);
	starttls->word_len = 0;
	return chunk;
}

static void
keep_word(struct starttls *starttls, const struct chunk *chunk, size_t len)
{
	size_t added = len - starttls->word_len;
	memcpy(starttls->word + starttls->word_len, chunk->data + chunk->len - added, added);
	starttls->word_len = (uint8_t)len;
}

struct chunk *
starttls_keep_back(struct session *session, struct chunk *chunk, size_t len)
{
	struct starttls *starttls = session->starttls;
	struct chunk *word = NULL;
	bool stopped = len < chunk->len;
	size_t word_len = tracker_unread_word(&session->tracker);
	if (!stopped && word_len == starttls->word_len + chunk->len) {
		keep_word(starttls, chunk, word_len);
		chunk_put(chunk);
		return NULL;
	}
	if (starttls->word_len > 0 && len > 0) {
		word = take_word(session);
		if (!word)
			return starttls_give_up(session, chunk);
	}
	if (!stopped) {
		keep_word(starttls, chunk, word_len);
		chunk->len -= word_len;
	} else {
		struct chunk *passing = len > 0 ? starttls_copy(session, chunk->data, len) : NULL;
		chunk->data += len;
		chunk->len -= len;
		starttls->rest = chunk;
		if (len > 0 && !passing)
			return starttls_give_up(session, word);
		chunk = passing;
	}
	if (!word)
		return chunk;
	word->next = chunk;
	return word;
}

struct chunk *
starttls_last_word(struct session *session)
{
	struct starttls *starttls = session->starttls;
	if (!starttls)
		return NULL;
	if (starttls->rest)
		starttls_drop(session);
	return starttls->word_len > 0 ? take_word(session) : NULL;
}

void
starttls_drop(struct session *session)
{
	chunk_put(session->starttls->rest);
	session->starttls->rest = NULL;
	session->starttls->word_len = 0;
}

bool
starttls_waits(const struct session *session)
{
	return session->starttls && session->starttls->rest;
}

bool
starttls_take_line(struct session *session, struct chunk *chunk)
{
	struct starttls *starttls = session->starttls;
	if (!starttls || !starttls->rest)
		return false;
	if (!chunk_join(starttls->rest, chunk)) /* far longer than any command may be */
		starttls_give_up(session, chunk);
	return true;
}

static int
say(struct session *session, enum reply reply)
{
	char id[SESSION_ID_MAX];
	char text[REPLY_MAX + 1];
	size_t len = reply_format(text, reply, worker_hostname(view_worker(session->view)),
		&session->source.addr, session_id_format(session, id));
	struct chunk *chunk = starttls_copy(session, text, len);
	if (!chunk)
		return -1;
	session_counts_out(session, len);
	conn_send(&session->client, chunk);
	return 0;
}

/* Answering. */

/* Of the line that is kept, whose word may have begun before. */
static bool
has_arguments(const struct starttls *starttls, size_t line_len)
{
	const uint8_t *line = starttls->rest->data;
	size_t at = 0;
	while (starttls->word_len == 0 && at < line_len && line[at] <= ' ')
		at++;
	while (at < line_len && line[at] > ' ')
		at++;
	while (at < line_len && line[at] <= ' ')
		at++;
	return at < line_len;
}

static enum reply
reply_to(const struct session *session, enum verb verb, size_t line_len)
{
	const struct starttls *starttls = session->starttls;
	if (verb != VERB_STARTTLS)
		return is_required(session) ? REPLY_TLS_FIRST : REPLY_EHLO_FIRST;
	if (starttls_is_on(session))
		return REPLY_TLS_ON;
	if (tracker_place(&session->tracker) != TRACKER_BETWEEN || starttls->has_auth)
		return REPLY_TLS_LATE;
	return has_arguments(starttls, line_len) ? REPLY_TLS_ARGUMENTS : REPLY_TLS_READY;
}

/* What the client has sent behind its STARTTLS was not said under TLS. */
static void
shake_hands(struct session *session, SSL *ssl)
{
	starttls_drop(session);
	conn_discard(&session->client);
	if (say(session, REPLY_TLS_READY) < 0) {
		SSL_free(ssl);
		starttls_give_up(session, NULL);
		return;
	}
	conn_pause(&session->backend);
	if (handshake_begin(session, ssl) < 0)
		starttls_give_up(session, NULL);
}

/* With the command that is kept gone, what came behind it; NULL for nothing. */
static struct chunk *
take_rest(struct starttls *starttls, size_t line_len)
{
	struct chunk *rest = starttls->rest;
	starttls->rest = NULL;
	starttls->word_len = 0;
	rest->data += line_len;
	rest->len -= line_len;
	if (rest->len > 0)
		return rest;
	chunk_put(rest);
	return NULL;
}

static struct chunk *
answer(struct session *session, enum reply reply, size_t line_len)
{
	SSL *ssl = NULL;
	if (reply == REPLY_TLS_READY)
		ssl = certificates_open(session->listener->certificates);
	if (ssl) {
		shake_hands(session, ssl);
		return NULL;
	}
	if (reply == REPLY_TLS_READY)
		reply = REPLY_TLS_FAILS;
	struct chunk *behind = take_rest(session->starttls, line_len);
	return say(session, reply) < 0 ? starttls_give_up(session, behind) : behind;
}

/* There is a command that is kept, and all that was sent before it, either way, is delivered. */
static bool
is_due(const struct session *session)
{
	return session->phase == PHASE_PUMP && session->starttls && session->starttls->rest &&
	       conn_is_flushed(&session->client) && conn_is_flushed(&session->backend);
}

struct chunk *
starttls_answer(struct session *session)
{
	struct starttls *starttls = session->starttls;
	if (!is_due(session))
		return NULL;
	if (session->client.shutdown) { /* the relay has left, and this one is to be answered */
		session_close(session);
		return NULL;
	}
	if (tracker_awaited(&session->tracker) != VERB_NONE)
		return NULL;
	if (session->tracker.opaque != OPAQUE_NOT) {
		struct chunk *rest = starttls->rest;
		starttls->rest = NULL;
		return rest;
	}
	size_t line_len;
	enum verb verb =
		read_command(starttls, starttls->rest->data, starttls->rest->len, &line_len);
	if (line_len == 0) {
		conn_receive(&session->client);
		return NULL;
	}
	return answer(session, reply_to(session, verb, line_len), line_len);
}

void
starttls_secured(struct session *session)
{
	session->starttls->needs_ehlo = true;
	keep_name(session);
	set_holds(session);
	pump_go_on(session);
}

bool
starttls_is_evaded(const struct session *session)
{
	return session->starttls && is_required(session) && session->tracker.opaque != OPAQUE_NOT;
}

/* The relay's side. */

void
starttls_note(struct session *session, enum verb verb, const struct reply_status *status)
{
	struct starttls *starttls = session->starttls;
	if (!starttls || status->code / 100 != 2)
		return;
	if (verb == VERB_AUTH)
		starttls->has_auth = true;
	if (verb != VERB_EHLO && verb != VERB_HELO)
		return;
	starttls->needs_ehlo = false;
	set_holds(session);
}

/*
 * See answer.h.
 */
#include "lb/admin/answer.h"

#include <stdlib.h>
#include <string.h>

enum {
	STATUS_NO_MEMORY = 500,
};

static void
give(struct http_exchange *exchange, unsigned status, const char *type, char *body,
	const char *allow)
{
	struct http_answer answer = {
		.status = body ? status : STATUS_NO_MEMORY,
		.type = type,
		.allow = allow,
		.body = body,
		.len = body ? strlen(body) : 0,
	};
	http_answer(exchange, &answer);
}

static void
give_json(struct http_exchange *exchange, unsigned status, json_t *json, const char *allow)
{
	char *body = json ? json_dumps(json, JSON_COMPACT) : NULL;
	json_decref(json);
	give(exchange, status, "application/json", body, allow);
}

void
answer_json(struct http_exchange *exchange, unsigned status, json_t *json)
{
	give_json(exchange, status, json, NULL);
}

void
answer_error(struct http_exchange *exchange, unsigned status, const char *what, const char *allow)
{
	give_json(exchange, status, json_pack("{s:s}", "error", what), allow);
}

void
answer_body(struct http_exchange *exchange, unsigned status, const char *type, char *body)
{
	give(exchange, status, type, body, NULL);
}

void
answer_text(struct http_exchange *exchange, unsigned status, const char *text)
{
	answer_body(exchange, status, "text/plain; charset=utf-8", strdup(text));
}

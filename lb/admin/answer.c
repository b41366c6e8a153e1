/*
 * See answer.h.
 */
#include "lb/admin/answer.h"

#include <stdlib.h>
#include <string.h>

enum {
	STATUS_OK = 200,
	STATUS_NO_MEMORY = 500,
};

/* The answer but for its body, which is for free(3); NULL: no memory. */
static void
give(struct http_exchange *exchange, struct http_answer answer, char *body)
{
	if (!body)
		answer.status = STATUS_NO_MEMORY;
	answer.body = body;
	answer.len = body ? strlen(body) : 0;
	http_answer(exchange, &answer);
}

/* By json_dumps, which lets the text grow, a key gets lost where there is no memory for that. */
static char *
write_json(const json_t *json)
{
	size_t len = json_dumpb(json, NULL, 0, JSON_COMPACT);
	char *text = len ? malloc(len + 1) : NULL;
	if (!text)
		return NULL;
	if (json_dumpb(json, text, len, JSON_COMPACT) != len) {
		free(text);
		return NULL;
	}
	text[len] = '\0';
	return text;
}

static void
give_json(struct http_exchange *exchange, unsigned status, json_t *json, const char *allow)
{
	char *body = write_json(json);
	json_decref(json);
	give(exchange,
		(struct http_answer){.status = status, .type = "application/json", .allow = allow},
		body);
}

json_t *
answer_add(json_t *array, json_t *member)
{
	if (json_array_append_new(array, member) == 0)
		return array;
	json_decref(array);
	return NULL;
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
	give(exchange, (struct http_answer){.status = status, .type = type}, body);
}

void
answer_page(struct http_exchange *exchange, const char *text, const char *policy)
{
	give(exchange,
		(struct http_answer){
			.status = STATUS_OK, .type = "text/html; charset=utf-8", .policy = policy},
		strdup(text));
}

void
answer_text(struct http_exchange *exchange, unsigned status, const char *text)
{
	answer_body(exchange, status, "text/plain; charset=utf-8", strdup(text));
}

/*
 * Answers in JSON and in plain text.
 */
#ifndef LB_ADMIN_ANSWER_H
#define LB_ADMIN_ANSWER_H

#include "lb/admin/http.h"

#include <jansson.h>

/* Appends a member to an array, and takes both. NULL where either is, or there was no memory: half
 * of an answer would be a lie. */
json_t *answer_add(json_t *array, json_t *member);

/* Takes the reference. NULL, as where there was no memory to make it, is a 500. */
void answer_json(struct http_exchange *exchange, unsigned status, json_t *json);

/* {"error": ...}; allow: the methods, with 405, else NULL. */
void answer_error(
	struct http_exchange *exchange, unsigned status, const char *what, const char *allow);

/* A body of any type (static), which is for free(3) by whom it is given to; NULL is a 500. */
void answer_body(struct http_exchange *exchange, unsigned status, const char *type, char *body);

/* A page in HTML (static), with what it may load. */
void answer_page(struct http_exchange *exchange, const char *text, const char *policy);

void answer_text(struct http_exchange *exchange, unsigned status, const char *text);

#endif

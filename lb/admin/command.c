/*
 * See command.h: orders. What is shown in tables has a file each.
 */
#include "lb/admin/command.h"

#include "lb/admin/client.h"
#include "lb/admin/show.h"
#include "lb/admin/target.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	STATUS_OK = 200,
	WAIT_S = 10,
	RELOAD_WAIT_S = 600, /* a list of millions, on a busy machine */
};

static void
print_entries(FILE *to, const char *before, const json_t *array)
{
	size_t i;
	json_t *entry;
	json_array_foreach(array, i, entry) fprintf(to, "%s%s\n", before, json_string_value(entry));
}

int
command_reload(const char *path_of_socket)
{
	struct client_reply reply;
	if (client_ask(&reply, path_of_socket, "POST", "/v1/reload", RELOAD_WAIT_S) < 0)
		return EXIT_FAILURE;
	bool done = reply.status == STATUS_OK;
	const char *error = json_string_value(json_object_get(reply.json, "error"));
	print_entries(stderr, "warning: ", json_object_get(reply.json, "warnings"));
	print_entries(stderr, "", json_object_get(reply.json, "errors"));
	if (done)
		printf("reloaded\n");
	else
		fprintf(stderr, "smtplb: not reloaded, the old configuration is in force%s%s\n",
			error ? ": " : "", error ? error : "");
	json_decref(reply.json);
	return done ? EXIT_SUCCESS : EXIT_FAILURE;
}

int
command_give_order(const char *path_of_socket, const char *text, const char *state)
{
	char path[2 * NAME_LEN_MAX + 64];
	struct target target;
	struct client_reply reply;
	if (target_parse(&target, text) < 0) {
		fprintf(stderr, "smtplb: not POOL/BACKEND: %s\n", text);
		return EXIT_FAILURE;
	}
	snprintf(path, sizeof(path), "/v1/pools/%s/backends/%s/%s", target.pool, target.backend,
		state);
	if (client_ask(&reply, path_of_socket, "POST", path, WAIT_S) < 0)
		return EXIT_FAILURE;
	bool done = reply.status == STATUS_OK;
	if (done)
		printf("%s: %s\n", text, state);
	else
		fprintf(stderr, "smtplb: %s: %s\n", text, show_text(reply.json, "error"));
	json_decref(reply.json);
	return done ? EXIT_SUCCESS : EXIT_FAILURE;
}

/*
 * See command.h: orders. What is shown in tables has a file each.
 */
#include "lb/admin/command.h"

#include "lb/admin/client.h"

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

/* Names have letters, digits, - and _ (conf/), so a path needs no escapes: whatever else stands
 * there is the name of nothing. */
static bool
is_plain(const char *text)
{
	static const char plain[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.";
	return *text && strspn(text, plain) == strlen(text);
}

int
command_give_order(const char *path_of_socket, const char *target, const char *state)
{
	char path[1024];
	struct client_reply reply;
	const char *slash = strchr(target, '/');
	size_t pool_len = slash ? (size_t)(slash - target) : 0;
	char pool[256] = "";
	if (slash && pool_len < sizeof(pool))
		memcpy(pool, target, pool_len);
	if (!is_plain(pool) || !is_plain(slash + 1) || strlen(slash) > 256) {
		fprintf(stderr, "smtplb: not POOL/BACKEND: %s\n", target);
		return EXIT_FAILURE;
	}
	snprintf(path, sizeof(path), "/v1/pools/%s/backends/%s/%s", pool, slash + 1, state);
	if (client_ask(&reply, path_of_socket, "POST", path, WAIT_S) < 0)
		return EXIT_FAILURE;
	bool done = reply.status == STATUS_OK;
	if (done)
		printf("%s: %s\n", target, state);
	else
		fprintf(stderr, "smtplb: %s: %s\n", target,
			json_string_value(json_object_get(reply.json, "error")));
	json_decref(reply.json);
	return done ? EXIT_SUCCESS : EXIT_FAILURE;
}

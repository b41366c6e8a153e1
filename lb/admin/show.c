/*
 * See show.h.
 */
#include "lb/admin/show.h"

#include "lb/admin/client.h"

#include <stdio.h>
#include <stdlib.h>

enum {
	STATUS_OK = 200,
	WAIT_S = 10,
};

int
show(const char *path_of_socket, const char *path, bool json, void (*print)(const json_t *page))
{
	struct client_reply reply;
	if (client_ask(&reply, path_of_socket, "GET", path, WAIT_S) < 0)
		return EXIT_FAILURE;
	bool found = reply.status == STATUS_OK;
	if (!found)
		fprintf(stderr, "smtplb: the daemon says %u: %s\n", reply.status,
			show_text(reply.json, "error"));
	else if (!json)
		print(reply.json);
	else if (json_dumpf(reply.json, stdout, JSON_INDENT(2)) == 0)
		printf("\n");
	json_decref(reply.json);
	return found ? EXIT_SUCCESS : EXIT_FAILURE;
}

const char *
show_text(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));
	return text ? text : "";
}

long long
show_number(const json_t *object, const char *key)
{
	return json_integer_value(json_object_get(object, key));
}

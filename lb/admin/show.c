/*
 * See show.h.
 */
#include "lb/admin/show.h"

#include "lb/admin/client.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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
	if (fflush(stdout) == 0)
		return found ? EXIT_SUCCESS : EXIT_FAILURE;
	fprintf(stderr, "smtplb: can't write: %s\n", strerror(errno));
	return EXIT_FAILURE;
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

const char *
show_age(long long age_ms, char buf[SHOW_AGE_MAX])
{
	static const struct {
		long long ms;
		const char *unit;
	} units[] = {{86400000, "d"}, {3600000, "h"}, {60000, "m"}, {1000, "s"}};
	for (size_t i = 0; i < sizeof(units) / sizeof(*units); i++) {
		if (age_ms >= 2 * units[i].ms) {
			snprintf(buf, SHOW_AGE_MAX, "%lld%s", age_ms / units[i].ms, units[i].unit);
			return buf;
		}
	}
	snprintf(buf, SHOW_AGE_MAX, "%lldms", age_ms);
	return buf;
}

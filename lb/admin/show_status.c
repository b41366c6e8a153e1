/*
 * smtplb status. See command.h.
 */
#include "lb/admin/command.h"

#include "lb/admin/client.h"
#include "lb/admin/show.h"
#include "lb/admin/table.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void
print_top(const json_t *status)
{
	printf("smtplb %s, %s, pid %lld, %lld workers (%s), %s\n", show_text(status, "version"),
		table_coloured(strcmp(show_text(status, "state"), "running") == 0 ? COLOUR_GOOD
										  : COLOUR_WARN,
			show_text(status, "state")),
		show_number(status, "pid"), show_number(status, "workers"),
		show_text(status, "engine"), show_text(status, "file"));
	printf("%lld sessions, of %lld at most\n", show_number(status, "sessions"),
		show_number(status, "max_sessions"));
}

static void
print_listeners(const json_t *listeners)
{
	static const char *const titles[] = {"LISTENER", "BIND", "POOL", NULL};
	struct table table;
	size_t i, j;
	json_t *listener, *bind;
	table_init(&table, titles);
	json_array_foreach(listeners, i, listener)
	{
		json_array_foreach(json_object_get(listener, "bind"), j, bind)
		{
			table_add(&table, COLOUR_NONE, "%s", j ? "" : show_text(listener, "name"));
			table_add(&table, COLOUR_NONE, "%s", json_string_value(bind));
			table_add(&table, COLOUR_NONE, "%s", j ? "" : show_text(listener, "pool"));
		}
	}
	printf("\n");
	table_print(&table, 0);
	table_fini(&table);
}

static void
add_health(struct table *table, const json_t *backend)
{
	if (json_is_true(json_object_get(backend, "up")))
		table_add(table, COLOUR_GOOD, "up");
	else if (!json_is_true(json_object_get(backend, "probe_up")))
		table_add(table, COLOUR_BAD, "down: probe");
	else
		table_add(table, COLOUR_BAD, "down: greetings");
}

static void
add_backend(struct table *table, const json_t *backend)
{
	const char *state = show_text(backend, "state");
	const json_t *max = json_object_get(backend, "max_sessions");
	table_add(table, COLOUR_NONE, "%s", show_text(backend, "name"));
	table_add(table, COLOUR_NONE, "%s", show_text(backend, "address"));
	add_health(table, backend);
	table_add(table, strcmp(state, "ready") == 0 ? COLOUR_NONE : COLOUR_WARN, "%s", state);
	table_add(table, COLOUR_NONE, "%lld", show_number(backend, "sessions"));
	if (json_is_null(max))
		table_add(table, COLOUR_NONE, "-");
	else
		table_add(table, COLOUR_NONE, "%lld", (long long)json_integer_value(max));
	table_add(table, COLOUR_NONE, "%lld", show_number(backend, "weight"));
	table_add(table, COLOUR_NONE, "%s",
		json_is_true(json_object_get(backend, "backup")) ? "backup" : "");
}

static void
print_pool(const json_t *pool)
{
	static const char *const titles[] = {
		"BACKEND", "ADDRESS", "HEALTH", "STATE", ">SESSIONS", ">MAX", ">WEIGHT", "", NULL};
	struct table table;
	size_t i;
	json_t *backend;
	bool opens = json_is_true(json_object_get(pool, "fail_open"));
	printf("\npool %s: %s, %lld waiting%s%s\n", show_text(pool, "name"),
		show_text(pool, "balance"), show_number(pool, "waiting"), opens ? ", " : "",
		opens ? table_coloured(COLOUR_BAD, "fail open: none is up, all are tried") : "");
	table_init(&table, titles);
	json_array_foreach(json_object_get(pool, "backends"), i, backend)
		add_backend(&table, backend);
	table_print(&table, 2);
	table_fini(&table);
}

static void
print_status(const json_t *status)
{
	size_t i;
	json_t *pool;
	print_top(status);
	print_listeners(json_object_get(status, "listeners"));
	json_array_foreach(json_object_get(status, "pools"), i, pool) print_pool(pool);
}

int
command_show_status(const char *path_of_socket, bool json)
{
	return show(path_of_socket, "/v1/status", json, print_status);
}

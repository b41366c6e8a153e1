/*
 * smtplb status. See command.h.
 */
#include "lb/admin/command.h"

#include "acl/mem.h"
#include "lb/admin/show.h"
#include "lb/admin/table.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static void
print_text(const char *text)
{
	char *tamed = mem_text(text);
	terminal_tame(tamed);
	terminal_print(tamed, 0, 2);
	free(tamed);
}

static void
print_top(const json_t *status)
{
	const char *state = show_text(status, "state"), *file = show_text(status, "file");
	bool runs = strcmp(state, "running") == 0;
	printf("smtplb %s, ", show_text(status, "version"));
	terminal_print_coloured(runs ? COLOUR_GOOD : COLOUR_WARN, state, strlen(state));
	printf(", pid %lld, %lld workers (%s)\n", show_number(status, "pid"),
		show_number(status, "workers"), show_text(status, "engine"));
	print_text(file);
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

/* By the wall clock, which may have been set meanwhile. */
static long long
age_ms(const char *since)
{
	struct tm utc = {0};
	if (!strptime(since, "%Y-%m-%dT%H:%M:%S", &utc))
		return 0;
	time_t then = timegm(&utc), now = time(NULL);
	return now > then ? (long long)(now - then) * 1000 : 0;
}

static void
add_health(struct table *table, const json_t *backend)
{
	bool up = json_is_true(json_object_get(backend, "up"));
	char age[SHOW_AGE_MAX];
	table_add(table, up ? COLOUR_GOOD : COLOUR_BAD, "%s %s", up ? "up" : "down",
		show_age(age_ms(show_text(backend, "since")), age));
}

/* Why it is down. */
static void
add_cause(struct table *table, const json_t *backend)
{
	const char *cause = show_text(backend, "cause");
	char note[512];
	if (!*cause)
		return;
	snprintf(note, sizeof(note), "%s, since %.19sZ", show_text(backend, "detail"),
		show_text(backend, "since"));
	table_note(table, cause, note);
}

/* What it answers far more often than its peers. */
static void
add_troubles(struct table *table, const json_t *backend)
{
	char note[512];
	size_t i;
	json_t *trouble;
	json_array_foreach(json_object_get(backend, "troubles"), i, trouble)
	{
		snprintf(note, sizeof(note), "%s answered with %s far more often than by its peers",
			show_text(trouble, "verb"), show_text(trouble, "reply"));
		table_note(table, "trouble", note);
	}
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
	add_cause(table, backend);
	add_troubles(table, backend);
}

static void
print_pool(const json_t *pool)
{
	static const char *const titles[] = {
		"BACKEND", "ADDRESS", "HEALTH", "STATE", ">SESSIONS", ">MAX", ">WEIGHT", "", NULL};
	static const char opens[] = "fail open: none is up, all that are ready are tried";
	struct table table;
	size_t i;
	json_t *backend;
	char head[512];
	snprintf(head, sizeof(head), "pool %s: %s, %lld waiting", show_text(pool, "name"),
		show_text(pool, "balance"), show_number(pool, "waiting"));
	printf("\n");
	print_text(head);
	if (json_is_true(json_object_get(pool, "fail_open"))) {
		printf("  ");
		terminal_print_coloured(COLOUR_BAD, opens, strlen(opens));
		printf("\n");
	}
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

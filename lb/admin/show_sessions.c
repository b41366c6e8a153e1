/*
 * smtplb sessions. See command.h.
 */
#include "lb/admin/command.h"

#include "lb/admin/show.h"
#include "lb/admin/table.h"

#include <stdio.h>
#include <string.h>

/* Where it stands, in the phase that is nothing but that. */
static const char *
state_of(const json_t *session)
{
	const char *phase = show_text(session, "phase");
	return strcmp(phase, "pump") == 0 ? show_text(session, "place") : phase;
}

static void
add_session(struct table *table, const json_t *session)
{
	const char *backend = show_text(session, "backend");
	char age[SHOW_AGE_MAX];
	table_add(table, COLOUR_NONE, "%s", show_text(session, "id"));
	table_add(table, COLOUR_NONE, "%s", show_text(session, "client"));
	table_add(table, COLOUR_NONE, "%s", *backend ? backend : "-");
	table_add(table, COLOUR_NONE, "%s", state_of(session));
	table_add(table, COLOUR_NONE, "%lld", show_number(session, "messages"));
	table_add(table, COLOUR_NONE, "%s", show_age(show_number(session, "age_ms"), age));
	table_add(table, COLOUR_NONE, "%lld", show_number(session, "bytes_in"));
	table_add(table, COLOUR_NONE, "%lld", show_number(session, "bytes_out"));
}

static void
print_sessions(const json_t *page)
{
	static const char *const titles[] = {
		"ID", "CLIENT", "BACKEND", "STATE", ">MAILS", ">AGE", ">IN", ">OUT", NULL};
	struct table table;
	size_t i;
	json_t *session;
	table_init(&table, titles);
	json_array_foreach(json_object_get(page, "sessions"), i, session)
		add_session(&table, session);
	table_print(&table, 0);
	table_fini(&table);
}

int
command_show_sessions(const char *path_of_socket, bool json)
{
	return show(path_of_socket, "/v1/sessions", json, print_sessions);
}

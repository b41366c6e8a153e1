/*
 * smtplb denied. See command.h.
 */
#include "lb/admin/command.h"

#include "lb/admin/show.h"
#include "lb/admin/table.h"

#include <stdio.h>

/* Where it is not exact: between what it is at least and at most. */
static void
add_count(struct table *table, const json_t *source)
{
	long long count = show_number(source, "count"), least = show_number(source, "at_least");
	if (least == count)
		table_add(table, COLOUR_NONE, "%lld", count);
	else
		table_add(table, COLOUR_NONE, "%lld-%lld", least, count);
}

/* Who, and below by which rule, and what would let him in. */
static void
add_source(struct table *table, const json_t *source)
{
	long long asn = show_number(source, "asn");
	add_count(table, source);
	table_add(table, COLOUR_NONE, "%.19sZ", show_text(source, "last"));
	table_add(table, COLOUR_NONE, "%s", show_text(source, "listener"));
	table_add(table, COLOUR_NONE, "%s", show_text(source, "network"));
	table_add(table, COLOUR_NONE, "%s", show_text(source, "country"));
	if (asn)
		table_add(table, COLOUR_NONE, "AS%lld", asn);
	else
		table_add(table, COLOUR_NONE, "%s", "");
	table_note(table, "by ", show_text(source, "rule"));
	if (*show_text(source, "fix"))
		table_note(table, "fix", show_text(source, "fix"));
}

static void
print_denied(const json_t *page)
{
	static const char *const titles[] = {">COUNT", "LAST", "LISTENER", "SOURCE", "", "", NULL};
	const json_t *sources = json_object_get(page, "denied");
	struct table table;
	size_t i;
	json_t *source;
	if (json_array_size(sources) == 0) {
		printf("nobody was turned away\n");
		return;
	}
	table_init(&table, titles);
	json_array_foreach(sources, i, source) add_source(&table, source);
	table_print(&table, 0);
	table_fini(&table);
}

int
command_show_denied(const char *path_of_socket, bool json)
{
	return show(path_of_socket, "/v1/denied", json, print_denied);
}

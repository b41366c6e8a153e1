/*
 * smtplb denied. See command.h.
 */
#include "lb/admin/command.h"

#include "lb/admin/show.h"

#include <stdio.h>

/* Two lines each: who, and what would let him in. */
static void
print_source(const json_t *source)
{
	const char *country = show_text(source, "country");
	long long asn = show_number(source, "asn");
	printf("\n%7lld  %.19sZ  %s  %s", show_number(source, "count"), show_text(source, "last"),
		show_text(source, "listener"), show_text(source, "network"));
	if (*country)
		printf("  %s", country);
	if (asn)
		printf("  AS%lld", asn);
	printf("\n         by   %s\n", show_text(source, "rule"));
	if (*show_text(source, "fix"))
		printf("         fix  %s\n", show_text(source, "fix"));
}

static void
print_denied(const json_t *page)
{
	const json_t *sources = json_object_get(page, "denied");
	size_t i;
	json_t *source;
	if (json_array_size(sources) == 0) {
		printf("nobody was turned away\n");
		return;
	}
	printf("  COUNT  LAST                  LISTENER  SOURCE\n");
	json_array_foreach(sources, i, source) print_source(source);
}

int
command_show_denied(const char *path_of_socket, bool json)
{
	return show(path_of_socket, "/v1/denied", json, print_denied);
}

/*
 * The list parser on any bytes: the first says whether it is a deny list. What it hands over must
 * be well-formed, and the table made of it must agree with a look at every prefix.
 */
#include "acl/mynetworks.h"
#include "acl/prefix_table.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
	RULES_MAX = 256,
};

struct outcome {
	enum acl_action list_action;
	unsigned line;
	struct prefix prefixes[RULES_MAX];
	enum acl_action actions[RULES_MAX];
	size_t count;
	struct prefix_table table;
};

static void
must(bool truth)
{
	if (!truth)
		abort();
}

/* Entries come in order, and nothing in a deny list allows. */
static void
check_entry(struct outcome *outcome, enum acl_action action, unsigned line)
{
	must(line >= outcome->line && line > 0);
	must(outcome->list_action == ACL_ALLOW || action == ACL_DENY);
	outcome->line = line;
}

static void
on_prefix(void *context, enum acl_action action, const struct prefix *prefix, unsigned line)
{
	struct outcome *outcome = context;
	char text[PREFIX_TEXT_MAX];
	char why[PREFIX_WHY_MAX];
	struct prefix again;
	check_entry(outcome, action, line);
	must(prefix->len <= addr_bits(prefix->addr.family));
	must(prefix_parse(&again, prefix_format(prefix, text), why) == 0);
	must(again.len == prefix->len && addr_equal(&again.addr, &prefix->addr));
	if (outcome->count == RULES_MAX)
		return;
	prefix_table_add(&outcome->table, prefix, action == ACL_ALLOW, 0, (uint32_t)outcome->count);
	outcome->prefixes[outcome->count] = *prefix;
	outcome->actions[outcome->count++] = action;
}

static void
on_include(void *context, enum acl_action action, const char *path, unsigned line)
{
	check_entry(context, action, line);
	must(path[0] == '/' && !strpbrk(path, " \t\r\n,"));
}

static bool
oracle_allows(const struct outcome *outcome, const struct addr *addr)
{
	int best = -1;
	bool allow = false;
	for (size_t i = 0; i < outcome->count; i++) {
		const struct prefix *prefix = &outcome->prefixes[i];
		if (prefix->len < best || !prefix_contains(prefix, addr))
			continue;
		bool same = prefix->len == best;
		allow = outcome->actions[i] == ACL_ALLOW && (!same || allow);
		best = prefix->len;
	}
	return allow;
}

static void
check_report(const struct report *report)
{
	for (size_t i = 0; i < report->count; i++)
		for (const char *c = report->entries[i].text; *c; c++)
			must((unsigned char)*c >= 0x20 && *c != 0x7f);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	static struct outcome outcome;
	outcome = (struct outcome){.list_action = data[0] == '!' ? ACL_DENY : ACL_ALLOW};
	const struct mynetworks_handler handler = {.prefix = on_prefix,
		.include = on_include,
		.table = on_include,
		.context = &outcome};
	struct report report;
	report_init(&report);
	prefix_table_init(&outcome.table);
	char *text = malloc(size);
	must(text);
	memcpy(text, data + 1, size - 1);
	mynetworks_parse(text, size - 1, "list", outcome.list_action, &handler, &report);
	free(text);
	check_report(&report);
	prefix_table_seal(&outcome.table);
	for (size_t i = 0; i < outcome.count; i++) {
		const struct addr *addr = &outcome.prefixes[i].addr;
		const struct prefix_entry *found = prefix_table_find(&outcome.table, addr);
		must(found && found->allow == oracle_allows(&outcome, addr));
	}
	prefix_table_fini(&outcome.table);
	report_fini(&report);
	return 0;
}

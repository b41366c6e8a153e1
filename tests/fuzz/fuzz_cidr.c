/*
 * The parser of cidr tables on any bytes: the first says whether it is in a deny list. What it
 * hands over must be well-formed; the table made of it must agree with a look at every prefix, and
 * where no warning is given, with Postfix's first match.
 */
#include "acl/cidr.h"
#include "acl/first_match.h"
#include "acl/prefix_table.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
	RULES_MAX = 256,
};

enum says {
	NOTHING,
	DENY,
	ALLOW,
};

struct outcome {
	enum acl_action list_action;
	unsigned line;
	struct prefix prefixes[RULES_MAX];
	enum says says[RULES_MAX];
	size_t count;
	struct prefix_table table;
};

static void
must(bool truth)
{
	if (!truth)
		abort();
}

static bool
note(struct outcome *outcome, const struct prefix *prefix, enum says says, unsigned line)
{
	char text[PREFIX_TEXT_MAX];
	char why[PREFIX_WHY_MAX];
	struct prefix again;
	must(line > outcome->line);
	outcome->line = line;
	must(prefix->len <= addr_bits(prefix->addr.family));
	must(prefix_parse(&again, prefix_format(prefix, text), why) == 0);
	must(again.len == prefix->len && addr_equal(&again.addr, &prefix->addr));
	if (outcome->count == RULES_MAX)
		return false;
	outcome->prefixes[outcome->count] = *prefix;
	outcome->says[outcome->count++] = says;
	return true;
}

static void
on_rule(void *context, enum acl_action action, const struct prefix *prefix, unsigned line)
{
	struct outcome *outcome = context;
	bool allow = action == ACL_ALLOW;
	must(!allow || outcome->list_action == ACL_ALLOW);
	if (note(outcome, prefix, allow ? ALLOW : DENY, line))
		prefix_table_add(&outcome->table, prefix, allow, 0, line);
}

static void
on_dunno(void *context, const struct prefix *prefix, unsigned line)
{
	struct outcome *outcome = context;
	if (note(outcome, prefix, NOTHING, line))
		prefix_table_add_dunno(&outcome->table, prefix, 0, line);
}

static enum says
oracle_first(const struct outcome *outcome, const struct addr *addr)
{
	for (size_t i = 0; i < outcome->count; i++)
		if (prefix_contains(&outcome->prefixes[i], addr))
			return outcome->says[i];
	return NOTHING;
}

static enum says
oracle_longest(const struct outcome *outcome, const struct addr *addr)
{
	int best = -1;
	enum says says = NOTHING;
	for (size_t i = 0; i < outcome->count; i++) {
		const struct prefix *prefix = &outcome->prefixes[i];
		if (outcome->says[i] == NOTHING || prefix->len < best ||
			!prefix_contains(prefix, addr))
			continue;
		if (prefix->len > best || outcome->says[i] == DENY)
			says = outcome->says[i];
		best = prefix->len;
	}
	return says;
}

static void
check_table(const struct outcome *outcome, bool warned)
{
	for (size_t i = 0; i < outcome->count; i++) {
		const struct addr *addr = &outcome->prefixes[i].addr;
		const struct prefix_entry *found = prefix_table_find(&outcome->table, addr);
		enum says says = oracle_longest(outcome, addr);
		must(!found == (says == NOTHING));
		must(!found || found->allow == (says == ALLOW));
		must(warned || says == oracle_first(outcome, addr));
	}
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
	static char *files[] = {"table"};
	if (size == 0)
		return 0;
	static struct outcome outcome;
	outcome = (struct outcome){.list_action = data[0] == '!' ? ACL_DENY : ACL_ALLOW};
	const struct cidr_handler handler = {
		.rule = on_rule, .dunno = on_dunno, .context = &outcome};
	struct report report;
	report_init(&report);
	prefix_table_init(&outcome.table);
	char *text = malloc(size);
	must(text);
	memcpy(text, data + 1, size - 1);
	cidr_parse(text, size - 1, "table", outcome.list_action, &handler, &report);
	free(text);
	size_t warnings = report.warnings;
	first_match_check(&outcome.table, (struct prefix_mark){0, 0}, files, &report);
	check_report(&report);
	prefix_table_seal(&outcome.table);
	check_table(&outcome, report.warnings > warnings);
	prefix_table_fini(&outcome.table);
	report_fini(&report);
	return 0;
}

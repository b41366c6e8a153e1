/*
 * The rule set of an acl block: which items it takes, the guard against an open relay, the verdict.
 * One thread builds and seals it; then any number may ask. It owns its table and the names of the
 * files that its rules come from.
 */
#include "acl/acl.h"

#include "acl/first_match.h"
#include "acl/geo_doubts.h"
#include "acl/geo_rules.h"
#include "acl/list.h"
#include "acl/mem.h"
#include "acl/mynetworks.h"
#include "acl/prefix_table.h"

#include <assert.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct acl {
	char *name;
	char *file;
	unsigned line;
	unsigned allow_line; /* of the first item of its allow list; 0 before there is one */
	bool open;
	bool sealed;
	bool refused; /* an item was: what is missing then is no news */
	struct prefix_table table;
	struct geo_rules geo_rules[GEO_KINDS];
	const struct geo *geo[GEO_KINDS]; /* NULL where no rule needs it */
	char **files;                     /* a rule holds the index */
	size_t file_count;
	size_t file_capacity;
	struct sources *sources; /* until the seal; may be NULL */
};

struct acl *
acl_new(const char *name, const char *file, unsigned line, bool open)
{
	struct acl *acl = mem_resize(NULL, 1, sizeof(*acl));
	*acl = (struct acl){
		.name = mem_text(name), .file = mem_text(file), .line = line, .open = open};
	prefix_table_init(&acl->table);
	return acl;
}

void
acl_free(struct acl *acl)
{
	if (!acl)
		return;
	prefix_table_fini(&acl->table);
	for (size_t i = 0; i < GEO_KINDS; i++)
		geo_rules_fini(&acl->geo_rules[i]);
	for (size_t i = 0; i < acl->file_count; i++)
		free(acl->files[i]);
	free(acl->files);
	free(acl->file);
	free(acl->name);
	free(acl);
}

const char *
acl_name(const struct acl *acl)
{
	return acl->name;
}

const char *
acl_allow_place(const struct acl *acl, unsigned *line)
{
	*line = acl->allow_line ? acl->allow_line : acl->line;
	return acl->file;
}

void
acl_record(struct acl *acl, struct sources *sources)
{
	acl->sources = sources;
}

/* Rules come file by file, so the one asked for is nearly always the last. */
static uint32_t
file_number(struct acl *acl, const char *file)
{
	for (size_t i = acl->file_count; i-- > 0;)
		if (strcmp(acl->files[i], file) == 0)
			return (uint32_t)i;
	if (acl->file_count == acl->file_capacity)
		acl->files = mem_grow(acl->files, &acl->file_capacity, sizeof(*acl->files));
	acl->files[acl->file_count] = mem_text(file);
	return (uint32_t)acl->file_count++;
}

void
acl_add(struct acl *acl, const struct acl_rule *rule)
{
	assert(!acl->sealed);
	bool allow = rule->action == ACL_ALLOW;
	uint32_t file = file_number(acl, rule->file);
	switch (rule->kind) {
	case RULE_PREFIX:
		prefix_table_add(&acl->table, &rule->prefix, allow, file, rule->line);
		break;
	case RULE_ASN:
		geo_rules_add(&acl->geo_rules[GEO_ASN], rule->value, allow, file, rule->line);
		break;
	case RULE_COUNTRY:
		geo_rules_add(&acl->geo_rules[GEO_COUNTRY], rule->value, allow, file, rule->line);
		break;
	}
}

static void
add_listed(void *context, const struct acl_rule *rule)
{
	acl_add(context, rule);
}

static void
add_dunno(void *context, const struct prefix *prefix, const char *file, unsigned line)
{
	struct acl *acl = context;
	prefix_table_add_dunno(&acl->table, prefix, file_number(acl, file), line);
}

/* A bad list is taken back by the caller, with its DUNNOs. */
static void
add_list(struct acl *acl, enum list_format format, enum acl_action action, const char *path,
	const char *file, unsigned line, struct report *report)
{
	const struct list_handler handler = {
		.rule = add_listed, .dunno = add_dunno, .context = acl};
	struct prefix_mark mark = prefix_table_mark(&acl->table);
	size_t errors = report->errors;
	if (*path == '\0')
		report_error(report, file, line, "%s: names no file; write %s:PATH",
			format == LIST_CIDR ? "cidr" : "file",
			format == LIST_CIDR ? "cidr" : "file");
	else if (list_load(format, path, action, file, line, &handler, acl->sources, report) &&
		 report->errors == errors)
		first_match_check(&acl->table, mark, acl->files, report);
}

static void
add_prefix(struct acl *acl, enum acl_action action, const char *item, const char *file,
	unsigned line, struct report *report)
{
	struct acl_rule rule = {.action = action, .file = file, .line = line};
	char why[PREFIX_WHY_MAX];
	if (item[0] == '/')
		report_error(
			report, file, line, "%.200s: write file:%.200s to read a list", item, item);
	else if (item[0] == '!')
		report_error(report, file, line,
			"%.60s: a ! is for list files; put the prefix into deny = { ... }", item);
	else if (prefix_parse(&rule.prefix, item, why) < 0)
		report_error(report, file, line, "%.60s: %s", item, why);
	else
		acl_add(acl, &rule);
}

static enum rule_kind
rule_kind_of(enum geo_kind kind)
{
	return kind == GEO_ASN ? RULE_ASN : RULE_COUNTRY;
}

static bool
is_geo(const char *item, size_t scheme, enum geo_kind *kind)
{
	for (*kind = GEO_ASN; *kind < GEO_KINDS; ++*kind) {
		const char *name = geo_kind_name(*kind);
		if (strncmp(item, name, scheme) == 0 && !name[scheme])
			return true;
	}
	return false;
}

static void
add_geo(struct acl *acl, enum acl_action action, enum geo_kind kind, const char *item,
	const char *file, unsigned line, struct report *report)
{
	struct acl_rule rule = {
		.action = action, .kind = rule_kind_of(kind), .file = file, .line = line};
	char why[GEO_WHY_MAX];
	if (geo_parse(kind, strchr(item, ':') + 1, &rule.value, why) < 0)
		report_error(report, file, line, "%.60s: %s", item, why);
	else
		acl_add(acl, &rule);
}

void
acl_add_item(struct acl *acl, enum acl_action action, const char *item, const char *file,
	unsigned line, struct report *report)
{
	size_t errors = report->errors;
	struct prefix_mark mark = prefix_table_mark(&acl->table);
	size_t scheme = mynetworks_scheme_len(item);
	enum geo_kind kind;
	if (action == ACL_ALLOW && !acl->allow_line)
		acl->allow_line = line;
	if (!scheme)
		add_prefix(acl, action, item, file, line, report);
	else if (scheme == 4 && strncmp(item, "file", scheme) == 0)
		add_list(acl, LIST_MYNETWORKS, action, item + scheme + 1, file, line, report);
	else if (scheme == 4 && strncmp(item, "cidr", scheme) == 0)
		add_list(acl, LIST_CIDR, action, item + scheme + 1, file, line, report);
	else if (is_geo(item, scheme, &kind))
		add_geo(acl, action, kind, item, file, line, report);
	else
		report_error(report, file, line,
			"%.60s: no such kind of rule; use a prefix, file:PATH, cidr:PATH, "
			"country:CODE or asn:NUMBER",
			item);
	if (report->errors != errors) {
		acl->refused = true;
		prefix_table_rewind(&acl->table, mark);
	}
}

static struct acl_rule
geo_rule_out(const struct acl *acl, enum geo_kind kind, const struct geo_rule *rule)
{
	return (struct acl_rule){
		.action = rule->allow ? ACL_ALLOW : ACL_DENY,
		.kind = rule_kind_of(kind),
		.value = rule->value,
		.file = acl->files[rule->file],
		.line = rule->line,
	};
}

bool
acl_needs_geo(const struct acl *acl, enum geo_kind kind, struct acl_rule *rule)
{
	assert(!acl->sealed);
	const struct geo_rules *rules = &acl->geo_rules[kind];
	if (rules->count)
		*rule = geo_rule_out(acl, kind, rules->rules);
	return rules->count > 0;
}

void
acl_use_geo(struct acl *acl, const struct geo *geo)
{
	assert(!acl->sealed);
	acl->geo[geo->kind] = geo;
}

static void
guard_family(const struct acl *acl, const struct prefix_set *set, struct report *report)
{
	if (!set->allows_all)
		return;
	struct prefix widest = prefix_entry_prefix(&set->widest, set->family);
	char text[PREFIX_TEXT_MAX];
	report_error(report, acl->file, acl->line,
		"acl %s lets every %s address in, which opens the relays to the world (its widest "
		"allow is %s at %s:%u); narrow it, or say open = yes if that is meant",
		acl->name, set->family == ADDR_V4 ? "IPv4" : "IPv6", prefix_format(&widest, text),
		acl->files[set->widest.file], set->widest.line);
}

static void
guard(const struct acl *acl, struct report *report)
{
	const struct prefix_table *table = &acl->table;
	bool allows = table->v4.allows + table->v6.allows > 0;
	for (size_t i = 0; i < GEO_KINDS; i++)
		allows |= acl->geo_rules[i].allows;
	if (!acl->refused && !allows)
		report_error(report, acl->file, acl->line,
			"acl %s has no allow rule, so nobody gets in; add one, or say open = yes "
			"to let in all that is not denied",
			acl->name);
	guard_family(acl, &table->v4, report);
	guard_family(acl, &table->v6, report);
}

int
acl_seal(struct acl *acl, struct report *report)
{
	assert(!acl->sealed);
	size_t errors = report->errors;
	prefix_table_seal(&acl->table);
	for (size_t i = 0; i < GEO_KINDS; i++)
		geo_rules_seal(&acl->geo_rules[i]);
	acl->sealed = true;
	acl->sources = NULL;
	if (!acl->open)
		guard(acl, report);
	for (size_t i = 0; i < GEO_KINDS; i++)
		if (acl->geo[i])
			geo_doubts_warn(
				&acl->table, &acl->geo_rules[i], acl->geo[i], acl->files, report);
	return acl->refused || report->errors != errors ? -1 : 0;
}

size_t
acl_count(const struct acl *acl)
{
	assert(acl->sealed);
	return acl->table.v4.count + acl->table.v6.count;
}

static struct acl_rule
prefix_rule_out(const struct acl *acl, enum addr_family family, const struct prefix_entry *entry)
{
	return (struct acl_rule){
		.action = entry->allow ? ACL_ALLOW : ACL_DENY,
		.prefix = prefix_entry_prefix(entry, family),
		.file = acl->files[entry->file],
		.line = entry->line,
	};
}

static const struct geo_rule *
find_geo_rule(const struct acl *acl, enum geo_kind kind, const struct addr *source)
{
	if (!acl->geo[kind] || acl->geo_rules[kind].count == 0)
		return NULL;
	return geo_rules_find(&acl->geo_rules[kind], geo_find(acl->geo[kind], source));
}

static bool
find_rule(const struct acl *acl, const struct addr *source, unsigned len, struct acl_rule *rule)
{
	const struct prefix_entry *entry = prefix_table_find_shorter(&acl->table, source, len);
	if (entry) {
		*rule = prefix_rule_out(acl, source->family, entry);
		return true;
	}
	for (enum geo_kind kind = GEO_ASN; kind < GEO_KINDS; kind++) {
		const struct geo_rule *found = find_geo_rule(acl, kind, source);
		if (!found)
			continue;
		*rule = geo_rule_out(acl, kind, found);
		return true;
	}
	return false;
}

struct verdict
acl_decide(const struct acl *acl, const struct addr *source)
{
	return acl_decide_shorter(acl, source, UINT_MAX);
}

struct verdict
acl_decide_shorter(const struct acl *acl, const struct addr *source, unsigned len)
{
	assert(acl->sealed);
	struct verdict verdict = {.allowed = acl->open};
	verdict.matched = find_rule(acl, source, len, &verdict.rule);
	if (verdict.matched)
		verdict.allowed = verdict.rule.action == ACL_ALLOW;
	return verdict;
}

const char *
acl_rule_format(const struct acl_rule *rule, char buf[RULE_TEXT_MAX])
{
	switch (rule->kind) {
	case RULE_PREFIX:
		return prefix_format(&rule->prefix, buf);
	case RULE_ASN:
		return geo_format(GEO_ASN, rule->value, buf);
	case RULE_COUNTRY:
		return geo_format(GEO_COUNTRY, rule->value, buf);
	}
	return "";
}

const char *
verdict_format(const struct verdict *verdict, char *buf, size_t size)
{
	const struct acl_rule *rule = &verdict->rule;
	char text[RULE_TEXT_MAX];
	if (verdict->matched)
		snprintf(buf, size, "%s:%u %s %s", rule->file, rule->line,
			rule->action == ACL_ALLOW ? "allow" : "deny", acl_rule_format(rule, text));
	else
		snprintf(buf, size, "default");
	return buf;
}

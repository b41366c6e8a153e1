/*
 * The section geoip, and the databases that rules of acls need; see check.h.
 */
#include "conf/check.h"

/* The first rule of any acl that goes by the database; false when there is none. */
static bool
find_need(const struct snapshot *snapshot, enum geo_kind kind, struct acl_rule *rule)
{
	for (size_t i = 0; i < snapshot->acl_count; i++)
		if (acl_needs_geo(snapshot->acls[i], kind, rule))
			return true;
	return false;
}

/* Where the key is not given, the rule is what brought it up. */
static void
report_unusable(const struct load *load, const struct value *value, const struct acl_rule *rule,
	const char *why)
{
	char text[RULE_TEXT_MAX];
	acl_rule_format(rule, text);
	if (value->line)
		value_error(load, value, "%s (%s needs it)", why, text);
	else
		report_error(load->report, rule->file, rule->line,
			"%s needs the database %.200s, which %s; write where it is into geoip { %s "
			"= PATH }",
			text, value->text, why, value->key);
}

static void
load_database(const struct load *load, const struct value *value, enum geo_kind kind,
	const struct acl_rule *rule, struct snapshot *snapshot)
{
	char why[GEO_WHY_MAX];
	if (!*value->text) {
		report_unusable(load, value, rule, "names no database; write where it is");
		return;
	}
	snapshot->geo[kind] = geo_load(kind, value->text, &snapshot->sources, why);
	if (!snapshot->geo[kind])
		report_unusable(load, value, rule, why);
	for (size_t i = 0; i < snapshot->acl_count && snapshot->geo[kind]; i++)
		acl_use_geo(snapshot->acls[i], snapshot->geo[kind]);
}

void
check_geoip(const struct load *load, cfg_t *top, struct snapshot *snapshot)
{
	cfg_t *section = cfg_getsec(top, "geoip");
	for (enum geo_kind kind = GEO_ASN; kind < GEO_KINDS; kind++) {
		struct value value = value_get(section, geo_kind_name(kind));
		struct acl_rule rule;
		if (check_path(load, &value) && load->whole && find_need(snapshot, kind, &rule))
			load_database(load, &value, kind, &rule, snapshot);
	}
}

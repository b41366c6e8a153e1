/*
 * Reading values; see value.h. Runs in the thread that loads; keeps nothing.
 */
#include "conf/value.h"

#include "acl/mem.h"
#include "conf/grammar.h"
#include "conf/snapshot.h"
#include "conf/suggest.h"
#include "conf/unit.h"

#include <inttypes.h>
#include <stdarg.h>
#include <assert.h>
#include <stdio.h>
#include <string.h>

enum {
	MESSAGE_MAX = 500,
	SHOWN_MAX = 200, /* bytes of a user's value in a message */
};

size_t
value_count(cfg_t *section, const char *key)
{
	const cfg_opt_t *opt = cfg_getopt(section, key);
	if (opt->flags & CFGF_MODIFIED)
		return opt->nvalues;
	return opt->def.string ? 1 : 0;
}

struct value
value_at(cfg_t *section, const char *key, size_t index)
{
	cfg_opt_t *opt = cfg_getopt(section, key);
	struct value value = {.key = opt->name, .text = opt->def.string};
	if (index < opt->nvalues) {
		const struct grammar_value *given = cfg_opt_getnptr(opt, (unsigned)index);
		value.text = given->text;
		value.line = given->line;
	}
	return value;
}

struct value
value_get(cfg_t *section, const char *key)
{
	return value_at(section, key, 0);
}

void
value_error(const struct load *load, const struct value *value, const char *format, ...)
{
	char what[MESSAGE_MAX];
	va_list args;
	va_start(args, format);
	vsnprintf(what, sizeof(what), format, args);
	va_end(args);
	report_error(load->report, load->file, value->line, "`%s = %.*s`%s %s", value->key,
		SHOWN_MAX, *value->text ? value->text : "\"\"", value->line ? "" : " (the default)",
		what);
}

void
value_refuse(const struct load *load, const struct value *value, const char *off)
{
	value_error(
		load, value, "is not available in this version; leave it out or set it to %s", off);
}

struct value
value_require(const struct load *load, cfg_t *section, const char *key, const char *example)
{
	struct value value = value_get(section, key);
	if (value.text)
		return value;
	value.text = "";
	if (load->whole)
		report_error(load->report, load->file, grammar_section_line(section),
			"%s `%s` has no `%s`; add one, as in %s = %s", cfg_name(section),
			cfg_title(section), key, key, example);
	return value;
}

uint64_t
value_number(const struct load *load, const struct value *value, uint64_t min, uint64_t max)
{
	uint64_t number;
	const char *why;
	if (unit_parse_number(&number, value->text, &why) < 0)
		value_error(load, value, "%s; use %" PRIu64 " to %" PRIu64, why, min, max);
	else if (number < min || number > max)
		value_error(load, value, "is out of range; use %" PRIu64 " to %" PRIu64, min, max);
	else
		return number;
	return min;
}

uint64_t
value_duration(const struct load *load, const struct value *value, uint64_t min_ms, uint64_t max_ms)
{
	char min[DURATION_TEXT_MAX], max[DURATION_TEXT_MAX];
	uint64_t ms;
	const char *why;
	if (unit_parse_duration(&ms, value->text, &why) < 0)
		value_error(load, value, "%s", why);
	else if (ms < min_ms || ms > max_ms)
		value_error(load, value, "is out of range; use %s to %s",
			unit_format_duration(min_ms, min), unit_format_duration(max_ms, max));
	else
		return ms;
	return min_ms;
}

/* Lists the choices that this version has. */
static const char *
list_choices(const struct choice *choices, const char *between, char *list, size_t size)
{
	size_t len = 0;
	*list = '\0';
	for (; choices->name; choices++) {
		assert(len < size);
		if (!choices->refused)
			len += (size_t)snprintf(
				list + len, size - len, "%s%s", len ? between : "", choices->name);
	}
	return list;
}

int
value_choice(const struct load *load, const struct value *value, const struct choice *choices)
{
	char list[MESSAGE_MAX / 2];
	struct suggest suggest = {.word = value->text};
	const struct choice *choice = choices;
	for (; choice->name && strcmp(choice->name, value->text) != 0; choice++)
		suggest_offer(&suggest, choice->name);
	list_choices(choices, choice->name ? " or " : ", ", list, sizeof(list));
	if (choice->name && !choice->refused)
		return choice->value;
	if (choice->name)
		value_refuse(load, value, list);
	else if (suggest.best)
		value_error(load, value, "is unknown; did you mean %s? Possible: %s", suggest.best,
			list);
	else
		value_error(load, value, "is unknown; possible: %s", list);
	return choices->value;
}

bool
value_yes(const struct load *load, const struct value *value)
{
	static const struct choice words[] = {
		{.name = "yes", .value = true},
		{.name = "no", .value = false},
		{.name = "true", .value = true},
		{.name = "false", .value = false},
		{.name = "on", .value = true},
		{.name = "off", .value = false},
		{.name = NULL},
	};
	return value_choice(load, value, words);
}

char *
value_name(const struct load *load, cfg_t *section)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				      "0123456789._-";
	const char *name = cfg_title(section);
	size_t len = strlen(name);
	if (!len || len > NAME_LEN_MAX || strspn(name, allowed) != len)
		report_error(load->report, load->file, grammar_section_line(section),
			"`%.*s` is no name for this %s; use up to %d letters, digits and . _ -",
			SHOWN_MAX, name, cfg_name(section), NAME_LEN_MAX);
	return mem_text(name);
}

/*
 * smtplb.conf(5) held against the grammar: every section and key in its order, each with its
 * default, and nothing else.
 */
#include "conf/grammar.h"
#include "conf/text.h"
#include "tests/unit/unit.h"

#include <stdio.h>
#include <string.h>

#define PAGE "conf/man/smtplb.conf.5.scd"

enum {
	WANTED_MAX = 200, /* what a line must begin with, or an entry's text must have */
};

/* An entry begins with a line `*KEY* = ...` or `## SECTION ...`, and goes up to the next one. */
static bool
is_entry(const char *line)
{
	const char *letters = "abcdefghijklmnopqrstuvwxyz_";
	if (*line == '*')
		return strncmp(line + 1 + strspn(line + 1, letters), "* = ", 4) == 0;
	return strncmp(line, "## ", 3) == 0;
}

static const char *
next_line(const char *line)
{
	const char *end = strchr(line, '\n');
	return end ? end + 1 : line + strlen(line);
}

static const char *
next_entry(const char *at)
{
	while (*at && !is_entry(at))
		at = next_line(at);
	return at;
}

/* Takes the entry that begins as wanted, and returns its end. */
static const char *
take_entry(const char *at, const char *wanted)
{
	const char *entry = next_entry(at);
	ck_assert_msg(strncmp(entry, wanted, strlen(wanted)) == 0,
		"%s has, where `%s` belongs: %.60s", PAGE, wanted, entry);
	return next_entry(next_line(entry));
}

/* Whether [start, end) has the words, however its lines are broken. */
static bool
has_words(const char *start, const char *end, const char *words)
{
	size_t len = (size_t)(end - start);
	char *text = strndup(start, len);
	char *to = text;
	for (size_t i = 0; i < len; i++) {
		if (text[i] == '\t')
			continue;
		*to++ = text[i] == '\n' ? ' ' : text[i];
	}
	*to = '\0';
	bool has = strstr(text, words);
	free(text);
	return has;
}

/* A key without a default is required, or its text says in words what leaving it out means. */
static const char *
take_key(const char *at, const cfg_opt_t *opt)
{
	char wanted[WANTED_MAX];
	snprintf(wanted, sizeof(wanted), "*%s* = ", opt->name);
	const char *entry = next_entry(at), *end = take_entry(at, wanted);
	const char *text = opt->def.string;
	if (!text) {
		bool told = has_words(entry, end, "Required.") ||
			    (has_words(entry, end, "Default: ") &&
				    !has_words(entry, end, "Default: *"));
		ck_assert_msg(told, "%s: %s has no default", PAGE, opt->name);
		return end;
	}
	snprintf(wanted, sizeof(wanted), "Default: *%s*", *text ? text : "\"\"");
	ck_assert_msg(has_words(entry, end, wanted), "%s: %s wants `%s`", PAGE, opt->name, wanted);
	return end;
}

/* All keys of a section stand before the sections in it. */
static const char *
take_section(const char *at, const cfg_opt_t *opts)
{
	char wanted[WANTED_MAX];
	for (const cfg_opt_t *opt = opts; opt->name; opt++) {
		if (opt->type != CFGT_SEC && !grammar_is_mark(opt))
			at = take_key(at, opt);
	}
	for (const cfg_opt_t *opt = opts; opt->name; opt++) {
		if (opt->type != CFGT_SEC)
			continue;
		snprintf(wanted, sizeof(wanted), "## %s%s { ... }\n", opt->name,
			opt->flags & CFGF_TITLE ? " NAME" : "");
		at = take_section(take_entry(at, wanted), opt->subopts);
	}
	return at;
}

START_TEST(page_is_the_grammar)
{
	size_t len;
	char *page = text_read(PAGE, &len);
	ck_assert_msg(page, "%s", PAGE);
	const char *end = take_section(take_entry(page, "## the top level\n"), grammar_top);
	ck_assert_msg(!*end, "%s has what the grammar has not: %.60s", PAGE, end);
	free(page);
}
END_TEST

static void
fill(TCase *tcase)
{
	tcase_add_test(tcase, page_is_the_grammar);
}

UNIT_MAIN("man", fill)

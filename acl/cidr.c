/*
 * Parser for cidr tables. Runs in whichever thread loads; allocates nothing but messages.
 */
#include "acl/cidr.h"

#include "acl/line.h"

#include <string.h>
#include <strings.h>

struct parser {
	const char *file;
	unsigned line; /* being read */
	enum acl_action action;
	const struct cidr_handler *handler;
	struct report *report;
	char *entry; /* what has been read of a line and those that continue it; NULL: nothing */
	char *entry_end;
	unsigned entry_line; /* where it began */
	size_t entries;      /* bad ones included */
};

/* As isspace(3) has it in Postfix. */
static const char BLANKS[] = " \t\v\f\r";

/* Messages show so much of a word, which may be as long as the file. */
#define SHOWN "%.60s"

static void
refuse(const struct parser *parser, const char *word, const char *why)
{
	report_error(parser->report, parser->file, parser->entry_line, SHOWN ": %s", word, why);
}

/* A mapped prefix is folded to IPv4, whose clients Postfix looks up as such: there it never
 * matches. */
static bool
is_mapped(const char *pattern, const struct prefix *prefix)
{
	return prefix->addr.family == ADDR_V4 && strchr(pattern, ':');
}

static int
parse_pattern(const struct parser *parser, const char *pattern, struct prefix *prefix)
{
	char why[PREFIX_WHY_MAX];
	if (pattern[0] == '!')
		refuse(parser, pattern,
			"a ! (all but this) is not taken; write the prefixes that are meant");
	else if (strcasecmp(pattern, "if") == 0 || strcasecmp(pattern, "endif") == 0)
		refuse(parser, pattern,
			"if and endif are not taken; write each prefix with its action");
	else if (prefix_parse(prefix, pattern, why) < 0)
		refuse(parser, pattern, why);
	else if (is_mapped(pattern, prefix))
		refuse(parser, pattern,
			"to Postfix an IPv4-mapped prefix matches nobody; write the IPv4 prefix");
	else
		return 0;
	return -1;
}

static bool
is_one_of(const char *word, const char *one, const char *other)
{
	return strcasecmp(word, one) == 0 || strcasecmp(word, other) == 0;
}

static void
parse_action(const struct parser *parser, const char *word, const struct prefix *prefix)
{
	const struct cidr_handler *handler = parser->handler;
	unsigned line = parser->entry_line;
	if (is_one_of(word, "REJECT", "DISCARD"))
		handler->rule(handler->context, ACL_DENY, prefix, line);
	else if (strcasecmp(word, "DUNNO") == 0)
		handler->dunno(handler->context, prefix, line);
	else if (!is_one_of(word, "OK", "PERMIT"))
		refuse(parser, word,
			"no action that is taken here; write OK or PERMIT to allow, REJECT or "
			"DISCARD to deny, DUNNO for no rule");
	else if (parser->action == ACL_DENY)
		refuse(parser, word,
			"has no meaning in a deny list; put the table into an allow list");
	else
		handler->rule(handler->context, ACL_ALLOW, prefix, line);
}

/* Cuts off and returns the first word; *text is what follows it. */
static char *
next_word(char **text)
{
	char *word = *text + strspn(*text, BLANKS);
	char *end = word + strcspn(word, BLANKS);
	*text = end + (*end != '\0');
	*end = '\0';
	return word;
}

/* What stands behind the action is text for Postfix. */
static void
end_entry(struct parser *parser)
{
	struct prefix prefix;
	if (!parser->entry)
		return;
	parser->entries++;
	*parser->entry_end = '\0';
	char *text = parser->entry;
	const char *pattern = next_word(&text);
	const char *action = next_word(&text);
	if (parse_pattern(parser, pattern, &prefix) < 0)
		return;
	if (action[0] == '\0')
		refuse(parser, pattern,
			"no action; write OK, REJECT or DUNNO behind it (a plain list of prefixes "
			"is read with file:PATH)");
	else
		parse_action(parser, action, &prefix);
}

/* The text between an entry and what continues it is gone: comments and empty lines. */
static void
continue_entry(struct parser *parser, const char *line, size_t len)
{
	if (!parser->entry) {
		report_error(parser->report, parser->file, parser->line,
			"a line that begins with a blank continues the one before it, and there is "
			"none; take out the blank");
		return;
	}
	memmove(parser->entry_end, line, len);
	parser->entry_end += len;
}

static void
parse_line(struct parser *parser, char *line, size_t len)
{
	if (len && line[len - 1] == '\r')
		len--;
	const char *flaw = line_flaw(line, len, parser->line);
	size_t blanks = 0;
	while (blanks < len && strchr(BLANKS, line[blanks]))
		blanks++;
	if (flaw) {
		report_error(parser->report, parser->file, parser->line, "%s", flaw);
	} else if (blanks == len || line[blanks] == '#') {
		return;
	} else if (blanks) {
		continue_entry(parser, line, len);
	} else {
		end_entry(parser);
		parser->entry = line;
		parser->entry_end = line + len;
		parser->entry_line = parser->line;
	}
}

void
cidr_parse(char *text, size_t len, const char *file, enum acl_action action,
	const struct cidr_handler *handler, struct report *report)
{
	struct parser parser = {
		.file = file, .action = action, .handler = handler, .report = report};
	size_t errors = report->errors;
	char *end = text + len;
	for (char *line = text; line < end;) {
		char *newline = memchr(line, '\n', (size_t)(end - line));
		char *line_end = newline ? newline : end;
		parser.line++;
		parse_line(&parser, line, (size_t)(line_end - line));
		line = line_end + 1;
	}
	end_entry(&parser);
	if (!parser.entries && report->errors == errors)
		report_warning(report, file, 0, "a table without an entry");
}

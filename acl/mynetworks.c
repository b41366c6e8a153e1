/*
 * Parser for mynetworks lists. Runs in whichever thread loads; allocates nothing but messages.
 */
#include "acl/mynetworks.h"

#include "acl/line.h"

#include <string.h>

/* Something that Postfix would read otherwise: warned of once a list, however often it is there. */
struct oddity {
	unsigned line; /* the first */
	size_t count;
};

struct parser {
	const char *file;
	unsigned line;
	enum acl_action action;
	const struct mynetworks_handler *handler;
	struct report *report;
	size_t entries; /* bad ones included */
	struct oddity comment;
	struct oddity bare_ipv6;
	struct oddity table;
};

size_t
mynetworks_scheme_len(const char *item)
{
	size_t hex = strspn(item, "0123456789abcdefABCDEF");
	size_t len =
		strspn(item, "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_-");
	if (item[len] != ':')
		return 0;
	return hex < len || (len && item[len + 1] == '/') ? len : 0;
}

static void
note(struct parser *parser, struct oddity *oddity)
{
	if (oddity->count++ == 0)
		oddity->line = parser->line;
}

static void
warn(const struct parser *parser, const struct oddity *oddity, const char *what)
{
	if (oddity->count == 1)
		report_warning(parser->report, parser->file, oddity->line, "%s", what);
	else if (oddity->count > 1)
		report_warning(parser->report, parser->file, oddity->line, "%s (and %zu more here)",
			what, oddity->count - 1);
}

/* Messages show so much of an entry, which may be as long as the file. */
#define SHOWN "%.60s"

static void
parse_table(struct parser *parser, enum acl_action action, const char *pattern, size_t scheme)
{
	const char *path = pattern + scheme + 1;
	if (scheme != 4 || strncmp(pattern, "cidr", scheme) != 0) {
		report_error(parser->report, parser->file, parser->line,
			SHOWN ": lookup tables are not taken, but for cidr:/PATH; write the "
			      "prefixes, or the path of a list of them",
			pattern);
	} else if (path[0] != '/') {
		report_error(parser->report, parser->file, parser->line,
			SHOWN ": write the table's whole path: cidr:/PATH", pattern);
	} else {
		note(parser, &parser->table);
		parser->handler->table(parser->handler->context, action, path, parser->line);
	}
}

static void
parse_prefix(struct parser *parser, enum acl_action action, const char *pattern)
{
	struct prefix prefix;
	char why[PREFIX_WHY_MAX];
	if (strchr(pattern, '#')) {
		report_error(parser->report, parser->file, parser->line,
			SHOWN ": a # inside a word starts no comment; put a blank before it",
			pattern);
	} else if (prefix_parse(&prefix, pattern, why) < 0) {
		report_error(
			parser->report, parser->file, parser->line, SHOWN ": %s", pattern, why);
	} else {
		if (pattern[0] != '[' && strchr(pattern, ':'))
			note(parser, &parser->bare_ipv6);
		parser->handler->prefix(parser->handler->context, action, &prefix, parser->line);
	}
}

static void
parse_entry(struct parser *parser, const char *entry)
{
	const char *pattern = entry[0] == '!' ? entry + 1 : entry;
	enum acl_action action = entry[0] == '!' ? ACL_DENY : parser->action;
	size_t scheme = mynetworks_scheme_len(pattern);
	parser->entries++;
	if (entry[0] == '!' && parser->action == ACL_DENY)
		report_error(parser->report, parser->file, parser->line,
			SHOWN
			": a ! has no meaning in a deny list; put the pattern into an allow list",
			entry);
	else if (pattern[0] == '\0' || pattern[0] == '!')
		report_error(parser->report, parser->file, parser->line,
			SHOWN ": one ! and, with no blank between, a pattern belong together",
			entry);
	else if (pattern[0] == '/')
		parser->handler->include(parser->handler->context, action, pattern, parser->line);
	else if (scheme)
		parse_table(parser, action, pattern, scheme);
	else
		parse_prefix(parser, action, pattern);
}

static bool
is_delimiter(char c)
{
	return c == ' ' || c == '\t' || c == ',';
}

/* The line ends with a NUL at `end`. Entries become strings in place. */
static void
parse_entries(struct parser *parser, char *line, const char *end)
{
	char before = ' ';
	for (char *at = line; at < end;) {
		if (is_delimiter(*at)) {
			before = *at++;
			continue;
		}
		/* After a comma it is a bad entry: only a blank lets a comment begin. */
		if (*at == '#' && before != ',') {
			if (at > line)
				note(parser, &parser->comment);
			return;
		}
		const char *entry = at;
		while (at < end && !is_delimiter(*at))
			at++;
		before = *at;
		*at++ = '\0';
		parse_entry(parser, entry);
	}
}

static void
parse_line(struct parser *parser, char *line, char *end)
{
	if (end > line && end[-1] == '\r')
		end--;
	*end = '\0';
	size_t len = (size_t)(end - line);
	const char *flaw = line_flaw(line, len, parser->line);
	if (flaw)
		report_error(parser->report, parser->file, parser->line, "%s", flaw);
	else
		parse_entries(parser, line, end);
}

void
mynetworks_parse(char *text, size_t len, const char *file, enum acl_action action,
	const struct mynetworks_handler *handler, struct report *report)
{
	struct parser parser = {
		.file = file, .action = action, .handler = handler, .report = report};
	size_t errors = report->errors;
	char *end = text + len;
	for (char *line = text; line < end;) {
		char *newline = memchr(line, '\n', (size_t)(end - line));
		char *line_end = newline ? newline : end;
		parser.line++;
		parse_line(&parser, line, line_end);
		line = line_end + 1;
	}
	if (!parser.entries && report->errors == errors)
		report_warning(report, file, 0, "a list without an entry");
	warn(&parser, &parser.comment,
		"a # in mid-line: Postfix wants comments on lines of their own");
	warn(&parser, &parser.bare_ipv6,
		"an IPv6 address without brackets: Postfix takes it for a lookup table; write "
		"[2001:db8::]/32");
	warn(&parser, &parser.table,
		"a cidr: table in a list: Postfix takes whatever it finds there for a match, "
		"REJECT and DUNNO too; here OK allows and REJECT denies");
}

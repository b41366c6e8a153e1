/*
 * The text before libconfuse sees it; see text.h. Runs in the thread that loads; no state is kept.
 *
 * What begins a comment follows libconfuse's lexer: # anywhere outside quotes, // only where a word
 * could begin (so that http://x and file:/etc//x stay whole), and a C comment anywhere outside
 * quotes.
 */
#include "conf/text.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	DEPTH_MAX = 16, /* open braces; the grammar needs four */
};

struct scan {
	char *at;
	char *end;
	unsigned line;
	bool in_word;
	unsigned open[DEPTH_MAX]; /* lines of the braces that are open */
	unsigned depth;
	struct problem *problem;
};

void
problem_note(struct problem *problem, unsigned line, const char *format, ...)
{
	if (problem->line && problem->line <= line)
		return;
	problem->line = line;
	va_list args;
	va_start(args, format);
	vsnprintf(problem->what, sizeof(problem->what), format, args);
	va_end(args);
}

char *
text_read(const char *file, size_t *len)
{
	FILE *stream = fopen(file, "re");
	if (!stream)
		return NULL;
	size_t size = 4096;
	char *text = NULL;
	*len = 0;
	for (;;) {
		char *grown = realloc(text, size + 1);
		if (!grown)
			goto fail;
		text = grown;
		*len += fread(text + *len, 1, size - *len, stream);
		if (ferror(stream))
			goto fail;
		if (*len < size)
			break;
		if (size >= TEXT_MAX) {
			errno = EFBIG;
			goto fail;
		}
		size *= 2;
	}
	fclose(stream);
	text[*len] = '\0';
	return text;

fail:;
	int saved = errno;
	free(text);
	fclose(stream);
	errno = saved;
	return NULL;
}

static void
blank_line(struct scan *scan)
{
	while (scan->at < scan->end && *scan->at != '\n')
		*scan->at++ = ' ';
}

static void
blank_block(struct scan *scan)
{
	const char *close = memmem(scan->at + 2, (size_t)(scan->end - scan->at - 2), "*/", 2);
	if (!close) {
		problem_note(scan->problem, scan->line,
			"this /* comment is never closed; end it with */, or quote the value");
		return;
	}
	for (close += 2; scan->at < close; scan->at++) {
		if (*scan->at == '\n')
			scan->line++;
		else
			*scan->at = ' ';
	}
}

static bool
is_control(char c)
{
	return ((unsigned char)c < ' ' && c != '\t') || c == '\x7f';
}

/* The only escapes left are those of the quote and of the backslash itself, so that a value is what
 * it looks like; a single-quoted backslash before anything else is just that, as in the shell. */
static void
pass_quoted(struct scan *scan)
{
	char quote = *scan->at;
	for (char *at = scan->at + 1; at < scan->end && *at != '\n'; at++) {
		if (*at == quote) {
			scan->at = at + 1;
			return;
		}
		char next = '\n';
		if (at + 1 < scan->end)
			next = at[1];
		if (is_control(*at) && !(*at == '\r' && next == '\n')) {
			problem_note(scan->problem, scan->line,
				"control byte \\x%02x inside quotes; remove it",
				(unsigned char)*at);
			return;
		}
		if (*at == '$' && next == '{' && quote == '"') {
			problem_note(scan->problem, scan->line,
				"${...} is not expanded here; write the value itself, or use "
				"single "
				"quotes");
			return;
		}
		if (*at != '\\')
			continue;
		if (next == quote || next == '\\') {
			at++;
		} else if (quote == '"' && next != '\n') {
			problem_note(scan->problem, scan->line,
				"unknown escape in double quotes; only \\\" and \\\\ are known");
			return;
		}
	}
	problem_note(scan->problem, scan->line, "this %c quote is not closed on its line; close it",
		quote);
}

static void
open_brace(struct scan *scan)
{
	if (scan->depth == DEPTH_MAX) {
		problem_note(scan->problem, scan->line, "too many braces inside each other");
		return;
	}
	scan->open[scan->depth++] = scan->line;
	scan->at++;
}

static void
close_brace(struct scan *scan)
{
	if (!scan->depth) {
		problem_note(scan->problem, scan->line, "this } closes nothing; remove it");
		return;
	}
	scan->depth--;
	scan->at++;
}

/* Leaves scan->at where it is when there is a problem. */
static void
pass_one(struct scan *scan)
{
	char c = *scan->at, next = '\0';
	if (scan->at + 1 < scan->end)
		next = scan->at[1];
	bool was_in_word = scan->in_word;
	scan->in_word = false;
	if (c == '#' || (c == '/' && next == '/' && !was_in_word)) {
		blank_line(scan);
	} else if (c == '/' && next == '*') {
		blank_block(scan);
	} else if (c == '"' || c == '\'') {
		pass_quoted(scan);
	} else if (c == '{') {
		open_brace(scan);
	} else if (c == '}') {
		close_brace(scan);
	} else if (c == '+' && next == '=') {
		problem_note(scan->problem, scan->line,
			"+= is not available; give the whole list with =");
	} else if (c == '$' && next == '{') {
		problem_note(scan->problem, scan->line,
			"${...} is not expanded here; write the value itself");
	} else if (strchr("+*()", c) && c) {
		problem_note(scan->problem, scan->line,
			"%c has no meaning here; put the value in quotes", c);
	} else if (c == '\n') {
		scan->line++;
		scan->at++;
	} else if (c == '\r') {
		*scan->at++ = ' ';
	} else if (is_control(c)) {
		problem_note(scan->problem, scan->line, "control byte \\x%02x; remove it",
			(unsigned char)c);
	} else {
		scan->in_word = !strchr(" \t=,", c);
		scan->at++;
	}
}

void
text_clean(char *text, size_t len, struct problem *problem)
{
	struct scan scan = {.at = text, .end = text + len, .line = 1, .problem = problem};
	while (scan.at < scan.end && !problem->line)
		pass_one(&scan);
	/* The end is where the last word is, so that a text that ends too early says where. */
	while (!problem->line && scan.at > text && strchr(" \t\n", scan.at[-1]))
		scan.at--;
	*scan.at = '\0';
	if (!problem->line && scan.depth)
		problem_note(problem, scan.open[scan.depth - 1],
			"the { of this line is never closed; add the } that is missing");
}

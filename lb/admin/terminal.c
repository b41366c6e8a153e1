/*
 * See terminal.h.
 */
#include "lb/admin/terminal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *const codes[] = {
	[COLOUR_NONE] = "",
	[COLOUR_GOOD] = "\033[32m",
	[COLOUR_WARN] = "\033[33m",
	[COLOUR_BAD] = "\033[31m",
};

/* U+0080 to U+009F are control characters too: c2 80 to c2 9f. */
static bool
is_control(const unsigned char *byte)
{
	return *byte < ' ' || *byte == 0x7f || (*byte == 0xc2 && byte[1] >= 0x80 && byte[1] < 0xa0);
}

void
terminal_tame(char *text)
{
	for (unsigned char *byte = (unsigned char *)text; *byte; byte++) {
		if (!is_control(byte))
			continue;
		if (*byte == 0xc2)
			byte[1] = '?';
		*byte = '?';
	}
}

/* Whether the byte belongs to the character that begins before it. */
static bool
is_inside(char byte)
{
	return ((unsigned char)byte & 0xc0) == 0x80;
}

size_t
terminal_piece(const char *text, size_t width)
{
	size_t len = strlen(text), end = width;
	if (len <= width)
		return len;
	while (end > 0 && text[end] != ' ')
		end--;
	if (end > 0)
		return end;
	end = width;
	while (end > 1 && is_inside(text[end]))
		end--;
	return end;
}

const char *
terminal_rest(const char *text, size_t piece)
{
	text += piece;
	return text + strspn(text, " ");
}

void
terminal_print(const char *text, size_t column, size_t indent)
{
	for (;;) {
		size_t piece = terminal_piece(text, TERMINAL_WIDTH - column);
		printf("%.*s\n", (int)piece, text);
		text = terminal_rest(text, piece);
		if (!*text)
			return;
		printf("%*s", (int)indent, "");
		column = indent;
	}
}

static bool
is_in_colour(void)
{
	const char *no = getenv("NO_COLOR"), *terminal = getenv("TERM");
	return isatty(STDOUT_FILENO) && !(no && *no) && terminal && strcmp(terminal, "dumb") != 0;
}

void
terminal_print_coloured(enum colour colour, const char *text, size_t len)
{
	bool coloured = colour != COLOUR_NONE && is_in_colour();
	printf("%s%.*s%s", coloured ? codes[colour] : "", (int)len, text,
		coloured ? "\033[0m" : "");
}

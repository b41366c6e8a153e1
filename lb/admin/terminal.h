/*
 * Text for a terminal: tamed, in lines that fit, in colour where that can be.
 */
#ifndef LB_ADMIN_TERMINAL_H
#define LB_ADMIN_TERMINAL_H

#include <stdbool.h>
#include <stddef.h>

enum {
	TERMINAL_WIDTH = 80,
};

enum colour {
	COLOUR_NONE,
	COLOUR_GOOD,
	COLOUR_WARN,
	COLOUR_BAD,
};

/* Control bytes become ?, so that no relay and no file's name can say anything to a terminal. */
void terminal_tame(char *text);

/* How much of the text stands on a line of so many columns: up to a blank, where one comes in time;
 * never a part of a UTF-8 character, and never nothing of what is something. Every byte is counted
 * for a column. */
size_t terminal_piece(const char *text, size_t width);

/* What follows that piece, less the blanks at which it was parted. */
const char *terminal_rest(const char *text, size_t piece);

/* Prints, from the column at which the cursor is, and ends the line; the lines that follow begin at
 * `indent`. */
void terminal_print(const char *text, size_t column, size_t indent);

/* Prints in that colour, if stdout is a terminal that can and NO_COLOR is not set. */
void terminal_print_coloured(enum colour colour, const char *text, size_t len);

#endif

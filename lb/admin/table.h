/*
 * Tables on the terminal: columns as wide as what is in them, 80 in all.
 */
#ifndef LB_ADMIN_TABLE_H
#define LB_ADMIN_TABLE_H

#include <stddef.h>

enum {
	TABLE_COLUMNS_MAX = 8,
	TABLE_WIDTH = 80,
};

enum table_colour {
	COLOUR_NONE,
	COLOUR_GOOD,
	COLOUR_WARN,
	COLOUR_BAD,
};

struct table_cell {
	char *text;
	enum table_colour colour;
};

struct table {
	size_t columns;
	struct table_cell *cells; /* row by row, the first of them the titles */
	size_t count, capacity;
};

/* The titles end with a NULL. A title that begins with > is of a column of numbers. */
void table_init(struct table *table, const char *const *titles);
void table_fini(struct table *table);

/* The next cell, row by row; "" for nothing. Out of memory aborts, as in any command. */
void table_add(struct table *table, enum table_colour colour, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* On stdout, each line indented; in colour on a terminal that can and if NO_COLOR is not set. What
 * does not fit is cut in the widest columns. */
void table_print(const struct table *table, size_t indent);

/* The text, in that colour where table_print would use it. Valid until the next call. */
const char *table_coloured(enum table_colour colour, const char *text);

#endif

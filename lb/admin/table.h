/*
 * Tables on the terminal: columns as wide as what is in them, all together no wider than it.
 */
#ifndef LB_ADMIN_TABLE_H
#define LB_ADMIN_TABLE_H

#include "lb/admin/terminal.h"

#include <stddef.h>

enum {
	TABLE_COLUMNS_MAX = 8,
};

struct table_cell {
	char *text;
	enum colour colour;
};

struct table_note {
	size_t row; /* below which it stands */
	const char *label;
	char *text;
};

struct table {
	size_t columns;
	struct table_cell *cells; /* row by row, the first of them the titles */
	size_t count, capacity;
	struct table_note *notes; /* in the order of their rows */
	size_t note_count, note_capacity;
};

/* The titles end with a NULL. A title that begins with > is of a column of numbers. */
void table_init(struct table *table, const char *const *titles);
void table_fini(struct table *table);

/* The next cell, row by row; "" for nothing. Out of memory aborts, as in any command. */
void table_add(struct table *table, enum colour colour, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* A line of its own below the row that is complete now: a label, which outlives the table, and a
 * text. */
void table_note(struct table *table, const char *label, const char *text);

/* On stdout, each line indented. The widest columns give way until all fit; what is wider then goes
 * on below, in its column. */
void table_print(const struct table *table, size_t indent);

#endif

/*
 * See table.h.
 */
#include "lb/admin/table.h"

#include "acl/mem.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
	GAP = 2, /* between columns */
	WIDTH_LEAST = 4,
};

static const char *const codes[] = {
	[COLOUR_NONE] = "",
	[COLOUR_GOOD] = "\033[32m",
	[COLOUR_WARN] = "\033[33m",
	[COLOUR_BAD] = "\033[31m",
};

void
table_init(struct table *table, const char *const *titles)
{
	*table = (struct table){.columns = 0};
	while (titles[table->columns])
		table->columns++;
	for (size_t i = 0; i < table->columns; i++)
		table_add(table, COLOUR_NONE, "%s", titles[i]);
}

void
table_fini(struct table *table)
{
	for (size_t i = 0; i < table->count; i++)
		free(table->cells[i].text);
	free(table->cells);
}

void
table_add(struct table *table, enum table_colour colour, const char *format, ...)
{
	char text[512];
	va_list args;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	if (table->count == table->capacity)
		table->cells = mem_grow(table->cells, &table->capacity, sizeof(*table->cells));
	table->cells[table->count++] =
		(struct table_cell){.text = mem_text(text), .colour = colour};
}

static bool
in_colour(void)
{
	const char *no = getenv("NO_COLOR"), *terminal = getenv("TERM");
	return isatty(STDOUT_FILENO) && !(no && *no) && terminal && strcmp(terminal, "dumb") != 0;
}

const char *
table_coloured(enum table_colour colour, const char *text)
{
	static char buf[128];
	if (colour == COLOUR_NONE || !in_colour())
		return text;
	snprintf(buf, sizeof(buf), "%s%s\033[0m", codes[colour], text);
	return buf;
}

/* Columns. */

static bool
is_of_numbers(const struct table *table, size_t column)
{
	return table->cells[column].text[0] == '>';
}

static const char *
text_of(const struct table *table, size_t cell)
{
	const char *text = table->cells[cell].text;
	return cell < table->columns && is_of_numbers(table, cell) ? text + 1 : text;
}

static void
measure(const struct table *table, size_t *widths)
{
	memset(widths, 0, TABLE_COLUMNS_MAX * sizeof(*widths));
	for (size_t i = 0; i < table->count; i++) {
		size_t len = strlen(text_of(table, i)), column = i % table->columns;
		if (len > widths[column])
			widths[column] = len;
	}
}

/* Takes from the widest until all fit. */
static void
squeeze(const struct table *table, size_t *widths, size_t indent)
{
	for (;;) {
		size_t total = indent + GAP * (table->columns - 1), widest = 0;
		for (size_t i = 0; i < table->columns; i++) {
			total += widths[i];
			if (widths[i] > widths[widest])
				widest = i;
		}
		if (total <= TABLE_WIDTH || widths[widest] <= WIDTH_LEAST)
			return;
		widths[widest]--;
	}
}

/* Nothing follows it. */
static bool
is_last_of_row(const struct table *table, size_t cell)
{
	size_t end = cell - cell % table->columns + table->columns;
	while (++cell < end) {
		if (*text_of(table, cell))
			return false;
	}
	return true;
}

static void
print_cell(const struct table *table, size_t cell, size_t width, bool colour)
{
	const char *text = text_of(table, cell);
	size_t len = strlen(text), shown = len > width ? width : len;
	size_t column = cell % table->columns;
	int before = is_of_numbers(table, column) ? (int)(width - shown) : 0;
	bool last = is_last_of_row(table, cell);
	printf("%*s%s", before, "", colour ? codes[table->cells[cell].colour] : "");
	if (len > width)
		printf("%.*s~", (int)(width - 1), text);
	else
		printf("%s", text);
	if (colour && table->cells[cell].colour != COLOUR_NONE)
		printf("\033[0m");
	if (!last)
		printf("%*s", (int)(width - shown) - before + GAP, "");
}

void
table_print(const struct table *table, size_t indent)
{
	size_t widths[TABLE_COLUMNS_MAX];
	bool colour = in_colour();
	measure(table, widths);
	squeeze(table, widths, indent);
	for (size_t i = 0; i < table->count; i++) {
		size_t column = i % table->columns;
		if (column == 0)
			printf("%*s", (int)indent, "");
		print_cell(table, i, widths[column], colour);
		if (column == table->columns - 1)
			printf("\n");
	}
}

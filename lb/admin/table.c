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

enum {
	GAP = 2, /* between columns */
	NOTE_INDENT_MAX = 12,
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
	for (size_t i = 0; i < table->note_count; i++)
		free(table->notes[i].text);
	free(table->cells);
	free(table->notes);
}

void
table_add(struct table *table, enum colour colour, const char *format, ...)
{
	char text[512];
	va_list args;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	terminal_tame(text);
	if (table->count == table->capacity)
		table->cells = mem_grow(table->cells, &table->capacity, sizeof(*table->cells));
	table->cells[table->count++] =
		(struct table_cell){.text = mem_text(text), .colour = colour};
}

void
table_note(struct table *table, const char *label, const char *text)
{
	if (table->note_count == table->note_capacity)
		table->notes = mem_grow(table->notes, &table->note_capacity, sizeof(*table->notes));
	struct table_note *note = &table->notes[table->note_count++];
	*note = (struct table_note){
		.row = table->count / table->columns - 1,
		.label = label,
		.text = mem_text(text),
	};
	terminal_tame(note->text);
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
		if (total <= TERMINAL_WIDTH)
			return;
		widths[widest]--;
	}
}

/* Rows. */

/* How many columns have something left to be printed: the last that has, and one. */
static size_t
count_left(const struct table *table, const char *const *rest)
{
	size_t count = table->columns;
	while (count > 0 && !*rest[count - 1])
		count--;
	return count;
}

/* One line of a row; takes what it prints from the rests. */
static void
print_line(const struct table *table, size_t row, const size_t *widths, const char **rest,
	size_t count)
{
	for (size_t i = 0; i < count; i++) {
		size_t piece = terminal_piece(rest[i], widths[i]);
		int blanks = (int)(widths[i] - piece);
		int before = is_of_numbers(table, i) ? blanks : 0;
		int after = i + 1 < count ? blanks - before + GAP : 0;
		enum colour colour = table->cells[row * table->columns + i].colour;
		printf("%*s", before, "");
		terminal_print_coloured(colour, rest[i], piece);
		printf("%*s", after, "");
		rest[i] = terminal_rest(rest[i], piece);
	}
	printf("\n");
}

static void
print_row(const struct table *table, size_t row, const size_t *widths, size_t indent)
{
	const char *rest[TABLE_COLUMNS_MAX];
	size_t count;
	for (size_t i = 0; i < table->columns; i++)
		rest[i] = text_of(table, row * table->columns + i);
	while ((count = count_left(table, rest)) > 0) {
		printf("%*s", (int)indent, "");
		print_line(table, row, widths, rest, count);
	}
}

static void
print_note(const struct table_note *note, size_t indent)
{
	int column = printf("%*s%s  ", (int)indent, "", note->label);
	terminal_print(note->text, (size_t)column, (size_t)column);
}

void
table_print(const struct table *table, size_t indent)
{
	size_t widths[TABLE_COLUMNS_MAX], note = 0;
	measure(table, widths);
	squeeze(table, widths, indent);
	size_t below = indent + widths[0] + GAP;
	if (below > NOTE_INDENT_MAX)
		below = NOTE_INDENT_MAX;
	for (size_t row = 0; row < table->count / table->columns; row++) {
		print_row(table, row, widths, indent);
		for (; note < table->note_count && table->notes[note].row == row; note++)
			print_note(&table->notes[note], below);
	}
}

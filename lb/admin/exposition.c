/*
 * See exposition.h.
 */
#include "lb/admin/exposition.h"

#include <inttypes.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

void
exposition_init(struct exposition *exposition)
{
	*exposition = (struct exposition){.text = NULL};
	exposition->out = open_memstream(&exposition->text, &exposition->len);
}

char *
exposition_end(struct exposition *exposition)
{
	if (!exposition->out)
		return NULL;
	bool failed = ferror(exposition->out) != 0;
	if (fclose(exposition->out) == 0 && !failed)
		return exposition->text;
	free(exposition->text);
	return NULL;
}

void
exposition_head(struct exposition *exposition, const char *name, const char *type, const char *help)
{
	if (exposition->out)
		fprintf(exposition->out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void
put_value(FILE *out, const char *value)
{
	for (; *value; value++) {
		switch (*value) {
		case '\\':
		case '"':
			fprintf(out, "\\%c", *value);
			break;
		case '\n':
			fputs("\\n", out);
			break;
		default:
			fputc(*value, out);
		}
	}
}

static void
put_series(FILE *out, const char *name, const char *suffix, const struct label *labels)
{
	const char *before = "{";
	fprintf(out, "%s%s", name, suffix);
	for (const struct label *label = labels; label->name; label++) {
		fprintf(out, "%s%s=\"", before, label->name);
		put_value(out, label->value);
		fputc('"', out);
		before = ",";
	}
	fputs(labels->name ? "} " : " ", out);
}

void
exposition_number(struct exposition *exposition, const char *name, const char *suffix,
	const struct label *labels, uint64_t value)
{
	if (!exposition->out)
		return;
	put_series(exposition->out, name, suffix, labels);
	fprintf(exposition->out, "%" PRIu64 "\n", value);
}

void
exposition_real(struct exposition *exposition, const char *name, const char *suffix,
	const struct label *labels, double value)
{
	if (!exposition->out)
		return;
	put_series(exposition->out, name, suffix, labels);
	if (isnan(value))
		fputs("NaN\n", exposition->out);
	else
		fprintf(exposition->out, "%.15g\n", value);
}

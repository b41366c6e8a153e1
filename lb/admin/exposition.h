/*
 * The text that Prometheus reads (text format 0.0.4): a metric's head, then its samples, a line
 * each. It grows in memory; what fails for want of it is told at the end.
 */
#ifndef LB_ADMIN_EXPOSITION_H
#define LB_ADMIN_EXPOSITION_H

#include <stdint.h>
#include <stdio.h>

struct exposition {
	FILE *out; /* NULL: no memory */
	char *text;
	size_t len;
};

/* A label of a sample; of several, the last has no name. */
struct label {
	const char *name; /* NULL = none */
	const char *value;
};

void exposition_init(struct exposition *exposition);

/* The text, for free(3); NULL when there was no memory. */
char *exposition_end(struct exposition *exposition);

/* help: one line, without a backslash. */
void exposition_head(
	struct exposition *exposition, const char *name, const char *type, const char *help);

/* The sample's name is the metric's with the suffix ("" for most). Values of labels may be any
 * bytes of UTF-8. */
void exposition_number(struct exposition *exposition, const char *name, const char *suffix,
	const struct label *labels, uint64_t value);
void exposition_real(struct exposition *exposition, const char *name, const char *suffix,
	const struct label *labels, double value); /* NAN = not known */

#endif

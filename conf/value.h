/*
 * Values of a parsed configuration, each read with its checks: a reader reports what is wrong, with
 * the value's line, and then returns something harmless, so that loading goes on and finds the next
 * error. All belongs to the thread that loads.
 */
#ifndef CONF_VALUE_H
#define CONF_VALUE_H

#include "acl/report.h"

#include <confuse.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What is being loaded. */
struct load {
	const char *file;
	struct report *report;
	bool whole; /* false after a syntax error: what seems to be missing may stand behind it */
};

/* One value as text, which lives as long as the tree. */
struct value {
	const char *key;
	const char *text; /* NULL: not given, and there is no default */
	unsigned line;    /* 0: not given, the text is the default */
};

struct value value_get(cfg_t *section, const char *key);

/* Of a list; the default counts as long as the key is not given. */
size_t value_count(cfg_t *section, const char *key);
struct value value_at(cfg_t *section, const char *key, size_t index);

/* An error about the value: "`KEY = TEXT` ..." */
void value_error(const struct load *load, const struct value *value, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* An error that this version can't do it and wants the value that switches it off. */
void value_refuse(const struct load *load, const struct value *value, const char *off);

/* For a key without a default: an error about the section when it is not given. Never NULL text. */
struct value value_require(
	const struct load *load, cfg_t *section, const char *key, const char *example);

uint64_t value_number(
	const struct load *load, const struct value *value, uint64_t min, uint64_t max);
uint64_t value_duration(
	const struct load *load, const struct value *value, uint64_t min_ms, uint64_t max_ms);

/* One word of several; the list ends with a name that is NULL. */
struct choice {
	const char *name;
	int value;
	bool refused; /* this version can't do it */
};

int value_choice(const struct load *load, const struct value *value, const struct choice *choices);

/* yes, true, on or no, false, off. */
bool value_yes(const struct load *load, const struct value *value);

/* The section's title as a name: letters, digits, . _ and -. An error when it is none. Returns a
 * copy. */
char *value_name(const struct load *load, cfg_t *section);

#endif

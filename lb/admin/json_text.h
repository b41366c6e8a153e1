/*
 * Texts that may be any bytes, as JSON: paths, what stands in a file, what a relay says.
 */
#ifndef LB_ADMIN_JSON_TEXT_H
#define LB_ADMIN_JSON_TEXT_H

#include <jansson.h>

/* The text where it is UTF-8; otherwise as the log writes bytes into JSON: each that is not ASCII
 * by its value, \u0080 to \u00ff. NULL when there is no memory. */
json_t *json_text(const char *text);

#endif

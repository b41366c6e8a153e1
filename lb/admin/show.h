/*
 * What the commands that show something have in common.
 */
#ifndef LB_ADMIN_SHOW_H
#define LB_ADMIN_SHOW_H

#include <jansson.h>
#include <stdbool.h>

/* Gets a page and prints it: as it came, or by the function. Returns the exit code. */
int show(
	const char *path_of_socket, const char *path, bool json, void (*print)(const json_t *page));

/* A member; "" and 0 when it is not there. */
const char *show_text(const json_t *object, const char *key);
long long show_number(const json_t *object, const char *key);

enum {
	SHOW_AGE_MAX = 32,
};

/* In the largest unit of which there are two: 90s, 5m, 3h. Returns buf. */
const char *show_age(long long age_ms, char buf[SHOW_AGE_MAX]);

#endif

/*
 * A request's path, and where it leads.
 */
#ifndef LB_ADMIN_PATH_H
#define LB_ADMIN_PATH_H

#include <stdbool.h>
#include <stddef.h>

enum {
	PATH_PARTS_MAX = 8,
	PATH_TEXT_MAX = 1024,
};

/* A path's parts between slashes. */
struct path {
	char text[PATH_TEXT_MAX];
	const char *parts[PATH_PARTS_MAX];
	size_t count;
};

/* Takes a decoded path apart. Returns 0; -1 when it begins with no slash, or is longer or has more
 * parts than any that leads anywhere. */
int path_split(struct path *path, const char *text);

/* Whether it is the pattern: parts between slashes, of which * is any but an empty one. */
bool path_leads_to(const struct path *path, const char *pattern);

#endif

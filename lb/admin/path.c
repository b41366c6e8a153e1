/*
 * See path.h.
 */
#include "lb/admin/path.h"

#include <string.h>

int
path_split(struct path *path, const char *text)
{
	size_t len = strlen(text);
	path->count = 0;
	if (text[0] != '/' || len > sizeof(path->text))
		return -1;
	memcpy(path->text, text + 1, len);
	char *rest = path->text, *part;
	while ((part = strsep(&rest, "/"))) {
		if (path->count == PATH_PARTS_MAX)
			return -1;
		path->parts[path->count++] = part;
	}
	return 0;
}

bool
path_leads_to(const struct path *path, const char *pattern)
{
	for (size_t i = 0; i < path->count; i++) {
		size_t len = strcspn(pattern, "/");
		bool any = len == 1 && *pattern == '*';
		bool same = strlen(path->parts[i]) == len && !memcmp(path->parts[i], pattern, len);
		if (!(any ? *path->parts[i] : same))
			return false;
		pattern += len;
		if (i + 1 < path->count && *pattern++ != '/')
			return false;
	}
	return *pattern == '\0';
}

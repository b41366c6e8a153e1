/*
 * The admin interface's paths: an input is a decoded path, a newline, and the pattern of a route.
 * The parts make the path again, and lead where a comparison part by part says.
 */
#include "lb/admin/path.h"

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_parts(const struct path *path, const char *text)
{
	for (size_t i = 0; i < path->count; i++) {
		size_t len = strlen(path->parts[i]);
		assert(*text++ == '/');
		assert(strncmp(text, path->parts[i], len) == 0);
		assert(strchr(path->parts[i], '/') == NULL);
		text += len;
	}
	assert(*text == '\0');
}

static bool
leads_to(const struct path *path, const char *pattern)
{
	char *copy = strdup(pattern), *rest = copy, *want;
	size_t i = 0;
	bool same = true;
	assert(copy != NULL);
	for (; (want = strsep(&rest, "/")); i++) {
		if (i >= path->count)
			same = false;
		else if (strcmp(want, "*") == 0)
			same &= *path->parts[i] != '\0';
		else
			same &= strcmp(want, path->parts[i]) == 0;
	}
	free(copy);
	return same && i == path->count;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1);
	assert(text != NULL);
	memcpy(text, data, size);
	text[size] = '\0';
	char *pattern = strchr(text, '\n');
	if (pattern)
		*pattern++ = '\0';
	struct path path;
	if (path_split(&path, text) == 0) {
		assert(path.count > 0 && path.count <= PATH_PARTS_MAX);
		check_parts(&path, text);
		if (pattern)
			assert(path_leads_to(&path, pattern) == leads_to(&path, pattern));
	}
	free(text);
	return 0;
}

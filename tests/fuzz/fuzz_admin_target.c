/*
 * POOL/BACKEND: what is taken for one makes the same text again, and needs no escapes in a path.
 */
#include "lb/admin/path.h"
#include "lb/admin/target.h"

#include <assert.h>
#include <ctype.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool
is_name(const char *text)
{
	size_t len = strlen(text);
	for (size_t i = 0; i < len; i++) {
		if (!isalnum((unsigned char)text[i]) && !strchr("-_.", text[i]))
			return false;
	}
	return len >= 1 && len <= NAME_LEN_MAX;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct target target;
	char again[2 * sizeof(target.pool)];
	char *text = malloc(size + 1);
	assert(text != NULL);
	memcpy(text, data, size);
	text[size] = '\0';
	if (target_parse(&target, text) == 0) {
		assert(is_name(target.pool) && is_name(target.backend));
		snprintf(again, sizeof(again), "%s/%s", target.pool, target.backend);
		assert(strcmp(again, text) == 0);
	} else {
		char *slash = strchr(text, '/');
		if (slash)
			*slash = '\0';
		assert(!slash || !is_name(text) || !is_name(slash + 1));
	}
	free(text);
	return 0;
}

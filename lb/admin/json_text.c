/*
 * See json_text.h.
 */
#include "lb/admin/json_text.h"

#include <stdlib.h>
#include <string.h>

enum {
	UTF8_LEAD_LATIN1 = 0xc0, /* what U+0080 to U+00FF begin with, but for two bits, */
	UTF8_TRAIL = 0x80,       /* and all that follow, but for six */
	UTF8_TRAIL_BITS = 6,
	UTF8_TRAIL_MASK = 0x3f,
};

static json_t *
bytes_json(const char *text)
{
	char *utf8 = malloc(2 * strlen(text) + 1);
	size_t len = 0;
	if (!utf8)
		return NULL;
	for (const unsigned char *byte = (const unsigned char *)text; *byte; byte++) {
		if (*byte >= UTF8_TRAIL) {
			utf8[len++] = (char)(UTF8_LEAD_LATIN1 | *byte >> UTF8_TRAIL_BITS);
			utf8[len++] = (char)(UTF8_TRAIL | (*byte & UTF8_TRAIL_MASK));
		} else {
			utf8[len++] = (char)*byte;
		}
	}
	json_t *json = json_stringn(utf8, len);
	free(utf8);
	return json;
}

json_t *
json_text(const char *text)
{
	json_t *json = json_string(text);
	return json ? json : bytes_json(text);
}

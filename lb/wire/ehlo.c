/*
 * See ehlo.h. Line by line: all but the last have a `-` behind the code. Pure.
 */
#include "lb/wire/ehlo.h"

#include <assert.h>
#include <string.h>
#include <strings.h>

static const char keyword[] = "STARTTLS";

enum {
	CODE_LEN = 3,
	KEYWORD_LEN = sizeof(keyword) - 1,
};

struct line {
	const uint8_t *text; /* behind the code and what separates it */
	size_t len;          /* up to and with its end */
};

static struct line
next_line(const uint8_t *at, const uint8_t *end)
{
	const uint8_t *lf = memchr(at, '\n', (size_t)(end - at));
	const uint8_t *text = at + CODE_LEN;
	assert(lf && lf >= text);
	if (*text == '-' || *text == ' ')
		text++;
	return (struct line){text, (size_t)(lf + 1 - text)};
}

static bool
is_blank(uint8_t byte)
{
	return byte == ' ' || byte == '\t' || byte == '\r' || byte == '\n';
}

static bool
is_keyword(const struct line *line)
{
	return line->len > KEYWORD_LEN && is_blank(line->text[KEYWORD_LEN]) &&
	       strncasecmp((const char *)line->text, keyword, KEYWORD_LEN) == 0;
}

/* Writes a line and returns where the next one goes; separator gets the place of what tells whether
 * there is one. */
static uint8_t *
put_line(uint8_t *to, uint8_t **separator, const void *text, size_t len)
{
	memcpy(to, "250-", CODE_LEN + 1);
	*separator = to + CODE_LEN;
	memcpy(to + CODE_LEN + 1, text, len);
	return to + CODE_LEN + 1 + len;
}

size_t
ehlo_edit(const uint8_t *reply, size_t len, bool offers, uint8_t *out)
{
	static const char offer[] = "STARTTLS\r\n";
	const uint8_t *at = reply, *end = reply + len;
	uint8_t *to = out, *separator = NULL;
	assert(len > CODE_LEN);
	if (memcmp(reply, "250", CODE_LEN) != 0) {
		memcpy(out, reply, len);
		return len;
	}
	struct line line = next_line(at, end);
	to = put_line(to, &separator, line.text, line.len);
	for (at = line.text + line.len; at < end; at = line.text + line.len) {
		line = next_line(at, end);
		if (!is_keyword(&line))
			to = put_line(to, &separator, line.text, line.len);
	}
	if (offers)
		to = put_line(to, &separator, offer, sizeof(offer) - 1);
	*separator = ' ';
	return (size_t)(to - out);
}

/*
 * Bytes that make a line no line of text. See line.h.
 */
#include "acl/line.h"

#include <string.h>

static const char BYTE_ORDER_MARK[] = {'\xef', '\xbb', '\xbf'};

const char *
line_flaw(const char *line, size_t len, unsigned number)
{
	if (memchr(line, '\0', len))
		return "a NUL byte: this is no text file, or a damaged one";
	if (memchr(line, '\r', len))
		return "a carriage return in mid-line; save the file with LF or CRLF line ends";
	if (number == 1 && len >= sizeof(BYTE_ORDER_MARK) &&
		memcmp(line, BYTE_ORDER_MARK, sizeof(BYTE_ORDER_MARK)) == 0)
		return "a byte order mark; save the file without one";
	return NULL;
}

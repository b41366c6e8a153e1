/*
 * Looks for a dot that begins a line, many bytes at once, and goes a byte at a time only where
 * there is one and where the pieces were split. Runs in the session's worker, the struct is the
 * session's.
 */
#include "lb/wire/body.h"

#include <stdbool.h>
#include <string.h>

static const uint8_t end_mark[] = {'\r', '\n', '.', '\r', '\n'};

enum {
	END_LEN = sizeof(end_mark),
	DOT = 3,     /* bytes of it up to and including the dot */
	BLOCK = 128, /* bytes looked at before asking whether there was a hit */
};

void
body_init(struct body *body)
{
	body->matched = 2;
}

/* Whether among BLOCK bytes there is an LF with a dot behind it; reads one byte more. Searching for
 * line ends with memchr takes twice as long in text, and searching for dots is faster only where
 * there are next to none; this, which compilers make of vectors, is the same for all. */
static inline __attribute__((always_inline)) bool
has_dot_line(const uint8_t *bytes)
{
	uint8_t hits = 0;
	for (size_t i = 0; i < BLOCK; i++)
		hits |= (uint8_t)((bytes[i] == '\n') & (bytes[i + 1] == '.'));
	return hits;
}

/* Where the first CRLF "." ends whose LF is at `from` or later, but before `to`; 0 for none. */
static size_t
find_here(const uint8_t *piece, size_t from, size_t to)
{
	for (size_t at = from; at < to; at++)
		if (piece[at] == '\n' && piece[at + 1] == '.' && at > 0 && piece[at - 1] == '\r')
			return at + 2;
	return 0;
}

static inline __attribute__((always_inline)) size_t
search(const uint8_t *piece, size_t len)
{
	size_t at = 0;
	for (; len - at > BLOCK; at += BLOCK) {
		if (!has_dot_line(piece + at))
			continue;
		size_t found = find_here(piece, at, at + BLOCK);
		if (found)
			return found;
	}
	return find_here(piece, at, len - 1);
}

#if defined(__x86_64__)

__attribute__((target("avx2"))) static size_t
search_wide(const uint8_t *piece, size_t len)
{
	return search(piece, len);
}

/* Where the first CRLF "." of the piece ends; 0 for none. len is at least 1. */
static size_t
find_dot_line(const uint8_t *piece, size_t len)
{
	return __builtin_cpu_supports("avx2") ? search_wide(piece, len) : search(piece, len);
}

#else

static size_t
find_dot_line(const uint8_t *piece, size_t len)
{
	return search(piece, len);
}

#endif

/* How many bytes of the mark are matched with one more. */
static uint8_t
step(uint8_t matched, uint8_t byte)
{
	if (byte == end_mark[matched])
		return matched + 1;
	return byte == '\r' ? 1 : 0;
}

/* How many bytes of the mark a piece ends with in which nothing of it goes past the first CRLF. */
static uint8_t
match_at_end(const uint8_t *piece, size_t len)
{
	if (piece[len - 1] == '\r')
		return 1;
	return len > 1 && piece[len - 2] == '\r' && piece[len - 1] == '\n' ? 2 : 0;
}

size_t
body_scan(struct body *body, const uint8_t *piece, size_t len)
{
	size_t at = 0;
	while (at < len) {
		if (body->matched == 0) {
			size_t found = find_dot_line(piece + at, len - at);
			if (found == 0) {
				body->matched = match_at_end(piece + at, len - at);
				return 0;
			}
			body->matched = DOT;
			at += found;
			continue;
		}
		body->matched = step(body->matched, piece[at++]);
		if (body->matched == END_LEN)
			return at;
	}
	return 0;
}

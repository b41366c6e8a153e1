/*
 * The near miss; see suggest.h. Pure: no memory, any thread.
 */
#include "conf/suggest.h"

#include <string.h>

enum {
	WORD_MAX = 64, /* a longer word is no slip of the finger */
	SLIPS_MAX = 3,
	LETTERS_A_SLIP = 3,
};

static unsigned
min2(unsigned a, unsigned b)
{
	return a < b ? a : b;
}

static unsigned char
fold(char c)
{
	return (unsigned char)(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
}

/* Optimal string alignment: Levenshtein's distance with two swapped neighbours counted as one slip.
 * Three rows of the matrix are enough. */
static unsigned
edit_distance(const char *a, size_t a_len, const char *b, size_t b_len)
{
	unsigned rows[3][WORD_MAX + 1];
	for (size_t j = 0; j <= b_len; j++)
		rows[0][j] = (unsigned)j;
	for (size_t i = 1; i <= a_len; i++) {
		unsigned *row = rows[i % 3];
		const unsigned *above = rows[(i + 2) % 3], *above2 = rows[(i + 1) % 3];
		row[0] = (unsigned)i;
		for (size_t j = 1; j <= b_len; j++) {
			unsigned wrong = fold(a[i - 1]) != fold(b[j - 1]);
			row[j] = min2(min2(above[j], row[j - 1]) + 1, above[j - 1] + wrong);
			if (i > 1 && j > 1 && fold(a[i - 1]) == fold(b[j - 2]) &&
				fold(a[i - 2]) == fold(b[j - 1]))
				row[j] = min2(row[j], above2[j - 2] + 1);
		}
	}
	return rows[a_len % 3][b_len];
}

void
suggest_offer(struct suggest *suggest, const char *possible)
{
	size_t len = strlen(suggest->word), possible_len = strlen(possible);
	if (len > WORD_MAX || possible_len > WORD_MAX)
		return;
	unsigned allowed = min2((unsigned)len / LETTERS_A_SLIP, SLIPS_MAX);
	if (!allowed)
		allowed = 1;
	unsigned distance = edit_distance(suggest->word, len, possible, possible_len);
	/* A word all of whose letters are wrong is none at all. */
	if (distance > allowed || distance >= len)
		return;
	if (!suggest->best || distance < suggest->distance) {
		suggest->best = possible;
		suggest->distance = distance;
	}
}

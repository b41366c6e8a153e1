/*
 * The near miss: which of the possible words a mistyped one was meant to be. A plain struct without
 * memory of its own; the words offered must live as long as it is used.
 *
 * Use:	struct suggest suggest = {.word = key};
 *	suggest_offer(&suggest, each possible word);
 *	if (suggest.best) ...
 */
#ifndef CONF_SUGGEST_H
#define CONF_SUGGEST_H

struct suggest {
	const char *word;
	const char *best;  /* NULL while nothing offered is near enough */
	unsigned distance; /* of best */
};

/* Near enough is one slip (a letter wrong, missing, too much, or two swapped; case aside), and one
 * more for every three letters, up to three. Of equally near words the first offered stays. */
void suggest_offer(struct suggest *suggest, const char *possible);

#endif

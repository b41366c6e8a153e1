/*
 * Unknown keys and duplicates; see statements.h. Runs in the thread that loads; no state is kept.
 *
 * A statement is KEY = WORD, KEY = { WORDS }, KEY { STATEMENTS } or KEY NAME { STATEMENTS }.
 */
#include "conf/statements.h"
#include "acl/mem.h"
#include "conf/grammar.h"
#include "conf/suggest.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	KEYS_MAX = 32,       /* in one table of the grammar */
	SHOWN_MAX = 60,      /* bytes of a user's word in a message */
	LIST_TEXT_MAX = 400, /* a list of possible words */
};

enum token_kind {
	TOKEN_END,
	TOKEN_WORD,
	TOKEN_SIGN, /* one of = { } , */
};

struct token {
	enum token_kind kind;
	char *start; /* a quote included */
	const char *text;
	size_t len;
	unsigned line;
};

/* The names of the sections around and before, those of one level behind each other. */
struct named {
	struct named *before;
	const cfg_opt_t *opt;
	const char *name;
	size_t len;
	unsigned line;
};

struct walk {
	char *at;
	unsigned line;
	const char *file;
	struct report *report;
};

/* One section's inside while it is walked. */
struct level {
	cfg_opt_t *opts;
	const char *name;        /* "pool"; "" for the top level */
	unsigned seen[KEYS_MAX]; /* by place in opts: the line where it was given first, or 0 */
	struct named *named;
};

static struct token
next_token(struct walk *walk)
{
	for (; *walk->at && strchr(" \t\n", *walk->at); walk->at++)
		walk->line += *walk->at == '\n';
	struct token token = {.start = walk->at, .text = walk->at, .len = 1, .line = walk->line};
	char c = *walk->at;
	if (!c)
		return token;
	if (strchr("={},", c)) {
		token.kind = TOKEN_SIGN;
		walk->at++;
		return token;
	}
	token.kind = TOKEN_WORD;
	if (c != '"' && c != '\'') {
		token.len = strcspn(walk->at, " \t\n={},\"'");
		walk->at += token.len;
		return token;
	}
	/* text_clean saw to it that the quote closes. What stands behind a backslash ends nothing.
	 */
	char *close = walk->at + 1;
	while (*close != c)
		close += *close == '\\' ? 2 : 1;
	token.text = walk->at + 1;
	token.len = (size_t)(close - token.text);
	walk->at = close + 1;
	return token;
}

static bool
is_sign(const struct token *token, char sign)
{
	return token->kind == TOKEN_SIGN && *token->text == sign;
}

static bool
is_word(const struct token *token, const char *word)
{
	return token->len == strlen(word) && memcmp(token->text, word, token->len) == 0;
}

static int
shown_len(size_t len)
{
	return len < SHOWN_MAX ? (int)len : SHOWN_MAX;
}

/* Overwrites [start, end) and keeps the newlines. */
static void
blank(char *start, const char *end)
{
	for (; start < end; start++) {
		if (*start != '\n')
			*start = ' ';
	}
}

static void
append(char list[LIST_TEXT_MAX], const char *word)
{
	size_t len = strlen(list);
	snprintf(list + len, LIST_TEXT_MAX - len, "%s%s", len ? ", " : "", word);
}

/* Lists the sections that have such a key, "the top level" among them. */
static void
find_homes(
	const cfg_opt_t *opts, const char *name, const struct token *key, char list[LIST_TEXT_MAX])
{
	for (; opts->name; opts++) {
		if (is_word(key, opts->name))
			append(list, name);
		if (opts->subopts)
			find_homes(opts->subopts, opts->name, key, list);
	}
}

static void
report_unknown(struct walk *walk, const struct level *level, const struct token *key)
{
	char word[SHOWN_MAX + 1], possible[LIST_TEXT_MAX] = "", homes[LIST_TEXT_MAX] = "";
	int len = shown_len(key->len);
	snprintf(word, sizeof(word), "%.*s", len, key->text);
	struct suggest suggest = {.word = word};
	for (const cfg_opt_t *opt = level->opts; opt->name; opt++) {
		if (grammar_is_mark(opt))
			continue;
		suggest_offer(&suggest, opt->name);
		append(possible, opt->name);
	}
	find_homes(grammar_top, "the top level", key, homes);
	if (*homes)
		report_error(walk->report, walk->file, key->line,
			"unknown key `%s`; it belongs into %s, not into %s: move it, or add the } "
			"that "
			"is missing above",
			word, homes, *level->name ? level->name : "the top level");
	else if (suggest.best)
		report_error(walk->report, walk->file, key->line,
			"unknown key `%s`; did you mean `%s`?", word, suggest.best);
	else
		report_error(walk->report, walk->file, key->line,
			"unknown key `%s`; possible here: %s", word, possible);
}

/* Passes the list or section whose { was just taken, whatever is inside. Returns whether it ends.
 */
static bool
skip_braces(struct walk *walk)
{
	for (unsigned depth = 1; depth;) {
		struct token token = next_token(walk);
		if (token.kind == TOKEN_END)
			return false;
		if (is_sign(&token, '{'))
			depth++;
		else if (is_sign(&token, '}'))
			depth--;
	}
	return true;
}

/* Passes what follows KEY =. */
static bool
skip_value(struct walk *walk)
{
	struct token token = next_token(walk);
	return token.kind == TOKEN_WORD || (is_sign(&token, '{') && skip_braces(walk));
}

/* Notes this key or named section as given; reports it when it was given before. */
static bool
is_repeated(struct walk *walk, struct level *level, size_t place, const struct token *key,
	const struct token *name)
{
	const cfg_opt_t *opt = &level->opts[place];
	if (!(opt->flags & CFGF_TITLE)) {
		unsigned first = level->seen[place];
		level->seen[place] = first ? first : key->line;
		if (first)
			report_error(walk->report, walk->file, key->line,
				"`%s` is given twice, first in line %u; keep one of them",
				opt->name, first);
		return first;
	}
	for (const struct named *named = level->named; named; named = named->before) {
		if (named->opt != opt || named->len != name->len ||
			memcmp(named->name, name->text, name->len) != 0)
			continue;
		report_error(walk->report, walk->file, key->line,
			"duplicate name: there is %s `%.*s` already, in line %u; rename or remove "
			"one",
			opt->name, shown_len(name->len), name->text, named->line);
		return true;
	}
	struct named *named = mem_new(1, sizeof(*named));
	*named = (struct named){level->named, opt, name->text, name->len, key->line};
	level->named = named;
	return false;
}

static bool walk_level(struct walk *walk, cfg_opt_t *opts, const char *name);

/* The statement that begins with this key. Returns false where it is none, and the walk ends. */
static bool
walk_statement(struct walk *walk, struct level *level, const struct token *key)
{
	size_t place = 0;
	while (level->opts[place].name &&
		(grammar_is_mark(&level->opts[place]) || !is_word(key, level->opts[place].name)))
		place++;
	cfg_opt_t *opt = &level->opts[place];
	struct token name = next_token(walk), brace = name;
	bool is_leaf = is_sign(&name, '=');
	bool is_named = name.kind == TOKEN_WORD;
	if (is_named)
		brace = next_token(walk);
	if (!is_leaf && !is_sign(&brace, '{'))
		return false;
	bool is_fit = is_leaf ? opt->type == CFGT_PTR
			      : opt->type == CFGT_SEC && is_named == !!(opt->flags & CFGF_TITLE);
	if (opt->name && !is_fit)
		return false;
	if (!opt->name)
		report_unknown(walk, level, key);
	if (opt->name && !is_repeated(walk, level, place, key, &name))
		return is_leaf ? skip_value(walk) : walk_level(walk, opt->subopts, opt->name);
	if (is_leaf ? !skip_value(walk) : !skip_braces(walk))
		return false;
	blank(key->start, walk->at);
	return true;
}

/* All statements up to the level's } or the text's end. */
static bool
walk_level(struct walk *walk, cfg_opt_t *opts, const char *name)
{
	struct level level = {.opts = opts, .name = name};
	struct token token;
	bool fine = true;
	while (fine) {
		token = next_token(walk);
		if (token.kind == TOKEN_END || is_sign(&token, '}'))
			break;
		fine = token.kind == TOKEN_WORD && walk_statement(walk, &level, &token);
	}
	while (level.named) {
		struct named *before = level.named->before;
		free(level.named);
		level.named = before;
	}
	return fine && (token.kind == TOKEN_SIGN) == (opts != grammar_top);
}

unsigned
statements_prune(char *text, const char *file, struct report *report)
{
	struct walk walk = {.at = text, .line = 1, .file = file, .report = report};
	return walk_level(&walk, grammar_top, "") ? 0 : walk.line;
}

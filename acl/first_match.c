/*
 * A sweep over the sorted prefixes of a list. Those that contain the place where the sweep is are
 * kept on a stack, each with what decides the addresses that no prefix further in contains.
 */
#include "acl/first_match.h"

#include <assert.h>
#include <stdio.h>

enum {
	NESTED_MAX = 129, /* prefixes inside one another: the lengths from 0 to 128 */
};

/* A prefix on the stack. Its own addresses are those in no prefix further in. */
struct span {
	unsigned __int128 first;
	unsigned __int128 last;
	unsigned __int128 edge;           /* behind the last prefix further in */
	bool gap;                         /* it has own addresses below the edge */
	bool closed;                      /* the last prefix further in reaches to its end */
	const struct prefix_entry *match; /* decides its own addresses in Postfix ... */
	const struct prefix_entry *best;  /* ... and here; NULL: no rule does */
};

struct sweep {
	enum addr_family family;
	struct span spans[NESTED_MAX];
	unsigned depth;
};

/* Where the two differ. */
struct finding {
	enum addr_family family;
	const struct prefix_entry *match;
	const struct prefix_entry *best;
	size_t count; /* how many there are; the others tell of the first */
};

enum saying {
	SAYS_NOTHING,
	SAYS_DENY,
	SAYS_ALLOW,
};

static enum saying
entry_says(const struct prefix_entry *entry)
{
	if (!entry || entry->dunno)
		return SAYS_NOTHING;
	return entry->allow ? SAYS_ALLOW : SAYS_DENY;
}

/* Findings are in the order in which somebody who reads from the top sees both sides of them: the
 * first match comes before what decides here. */
static uint64_t
finding_order(const struct prefix_entry *match, const struct prefix_entry *best)
{
	return (uint64_t)best->order << 32 | match->order;
}

static void
close_span(struct sweep *sweep, struct finding *finding)
{
	const struct span *span = &sweep->spans[--sweep->depth];
	bool has_own = span->gap || !span->closed;
	if (!has_own || entry_says(span->match) == entry_says(span->best))
		return;
	/* Where no rule is, Postfix finds at most a dunno: both say nothing. */
	assert(span->best);
	if (finding->count++ == 0 || finding_order(span->match, span->best) <
					     finding_order(finding->match, finding->best)) {
		finding->family = sweep->family;
		finding->match = span->match;
		finding->best = span->best;
	}
}

/* Opens a prefix inside the innermost that is open. group: its entries, in the list's order. */
static void
open_span(struct sweep *sweep, const struct prefix_entry *group, size_t count)
{
	struct span *outer = sweep->depth ? &sweep->spans[sweep->depth - 1] : NULL;
	struct span span = {
		.first = group->first,
		.last = prefix_entry_last(group, sweep->family),
		.edge = group->first,
		.match = group,
		.best = outer ? outer->best : NULL,
	};
	if (outer) {
		outer->gap |= span.first != outer->edge;
		outer->edge = span.last + 1;
		outer->closed = span.last == outer->last;
		if (outer->match->order < group->order)
			span.match = outer->match;
	}
	/* Of rules for the same prefix, deny decides. */
	const struct prefix_entry *own = NULL;
	for (size_t i = 0; i < count; i++)
		if (!group[i].dunno && (!own || (own->allow && !group[i].allow)))
			own = &group[i];
	if (own)
		span.best = own;
	assert(sweep->depth < NESTED_MAX);
	sweep->spans[sweep->depth++] = span;
}

static size_t
group_size(const struct prefix_entry *entries, size_t count)
{
	size_t size = 1;
	while (size < count && entries[size].first == entries->first &&
		entries[size].len == entries->len)
		size++;
	return size;
}

static void
sweep_set(const struct prefix_set *set, size_t mark, struct finding *finding)
{
	struct sweep sweep = {.family = set->family};
	if (set->count == mark)
		return;
	prefix_sort(set->entries + mark, set->count - mark);
	for (size_t i = mark, size; i < set->count; i += size) {
		const struct prefix_entry *group = &set->entries[i];
		size = group_size(group, set->count - i);
		while (sweep.depth && sweep.spans[sweep.depth - 1].last < group->first)
			close_span(&sweep, finding);
		open_span(&sweep, group, size);
	}
	while (sweep.depth)
		close_span(&sweep, finding);
}

static const char *
action_name(const struct prefix_entry *entry)
{
	if (entry->dunno)
		return "DUNNO";
	return entry->allow ? "allow" : "deny";
}

static const char *
advice(const struct finding *finding)
{
	if (finding->match->len == finding->best->len)
		return "take out one of them";
	if (finding->match->len < finding->best->len)
		return "put the longer prefix first";
	return "a DUNNO makes no exception here, so say what you mean";
}

static void
warn(const struct finding *finding, char *const *files, struct report *report)
{
	const struct prefix_entry *match = finding->match;
	const struct prefix_entry *best = finding->best;
	struct prefix match_prefix = prefix_entry_prefix(match, finding->family);
	struct prefix best_prefix = prefix_entry_prefix(best, finding->family);
	char match_text[PREFIX_TEXT_MAX];
	char best_text[PREFIX_TEXT_MAX];
	char more[64] = "";
	if (finding->count > 1)
		snprintf(more, sizeof(more), " (and %zu more in this list)", finding->count - 1);
	report_warning(report, files[best->file], best->line,
		"%s %s decides here, but in Postfix the first match, %s %s at %.1000s:%u; %s%s",
		action_name(best), prefix_format(&best_prefix, best_text), action_name(match),
		prefix_format(&match_prefix, match_text), files[match->file], match->line,
		advice(finding), more);
}

void
first_match_check(struct prefix_table *table, struct prefix_mark mark, char *const *files,
	struct report *report)
{
	struct finding finding = {.count = 0};
	sweep_set(&table->v4, mark.v4, &finding);
	sweep_set(&table->v6, mark.v6, &finding);
	if (finding.count)
		warn(&finding, files, report);
	prefix_table_drop_dunnos(table, mark);
}

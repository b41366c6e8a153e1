/*
 * Claims and the line they wait in. Guarded by the pool's mutex.
 */
#include "lb/claim.h"

#include "lb/balance_source.h"

#include <string.h>

bool
tried_is_empty(const struct tried *tried)
{
	static const struct tried none;
	return memcmp(tried, &none, sizeof(none)) == 0;
}

bool
tried_has(const struct tried *tried, unsigned mark)
{
	return tried->bits[mark / 64] >> (mark % 64) & 1;
}

void
tried_add(struct tried *tried, unsigned mark)
{
	tried->bits[mark / 64] |= UINT64_C(1) << (mark % 64);
}

void
claim_init(struct claim *claim, const struct addr *client)
{
	*claim = (struct claim){.client = source_client(client)};
}

void
claim_begin_round(struct claim *claim)
{
	claim->begins_round = true;
}

void
line_join(struct line *line, struct claim *claim)
{
	if (claim->in_line)
		return;
	claim->in_line = true;
	line->count++;
	claim->next = NULL;
	claim->prev = line->last;
	if (line->last)
		line->last->next = claim;
	else
		line->first = claim;
	line->last = claim;
}

void
line_leave(struct line *line, struct claim *claim)
{
	if (!claim->in_line)
		return;
	claim->in_line = false;
	line->count--;
	if (claim->prev)
		claim->prev->next = claim->next;
	else
		line->first = claim->next;
	if (claim->next)
		claim->next->prev = claim->prev;
	else
		line->last = claim->prev;
}

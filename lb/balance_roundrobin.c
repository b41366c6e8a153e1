/*
 * Round robin by turns in a common time; see the header. No state of its own.
 */
#include "lb/balance_roundrobin.h"

/* Below 0 when a is the earlier moment, 0 when both are the same. */
static int
compare(const struct turn *a, const struct turn *b)
{
	if (a->round != b->round)
		return a->round < b->round ? -1 : 1;
	unsigned left = (2 * a->part + 1) * b->parts, right = (2 * b->part + 1) * a->parts;
	return left < right ? -1 : left > right;
}

static void
advance(struct turn *turn)
{
	turn->part++;
	if (turn->part == turn->parts) {
		turn->part = 0;
		turn->round++;
	}
}

/* The first turn of its kind that does not lie before `now`. */
static void
catch_up(struct turn *turn, const struct turn *now)
{
	/* Whole parts before it: the middle of the part, (2 * part + 1) / (2 * parts), has to reach
	 * now's place in the round. */
	unsigned place = (2 * now->part + 1) * turn->parts, half = now->parts;
	turn->round = now->round;
	turn->part = place <= half ? 0 : (place - half + 2 * half - 1) / (2 * half);
	if (turn->part == turn->parts) {
		turn->part = 0;
		turn->round++;
	}
}

/* Passes over the turns that a member missed. At the same moment members have their turns in the
 * order of their indices. */
static void
pass_over_missed(struct rotation *rotation, unsigned i)
{
	struct turn *turn = &rotation->next[i];
	if (rotation->now.parts == 0)
		return;
	if (compare(turn, &rotation->now) < 0)
		catch_up(turn, &rotation->now);
	if ((int)i < rotation->last && compare(turn, &rotation->now) == 0)
		advance(turn);
}

void
rotation_change(struct rotation *rotation, unsigned count, const int *from, const unsigned *weights)
{
	const struct rotation before = *rotation;
	rotation->count = count;
	rotation->last = -1;
	for (unsigned i = 0; i < count; i++) {
		bool stays = from[i] >= 0 && before.next[from[i]].parts == weights[i];
		rotation->next[i] =
			stays ? before.next[from[i]] : (struct turn){.parts = weights[i]};
		if (from[i] >= 0 && from[i] == before.last)
			rotation->last = (int)i;
	}
}

int
rotation_take(struct rotation *rotation, const struct member_set *among)
{
	int chosen = -1;
	for (unsigned i = 0; i < rotation->count; i++) {
		if (!member_set_has(among, i))
			continue;
		pass_over_missed(rotation, i);
		if (chosen < 0 || compare(&rotation->next[i], &rotation->next[chosen]) < 0)
			chosen = (int)i;
	}
	if (chosen < 0)
		return -1;
	rotation->now = rotation->next[chosen];
	rotation->last = chosen;
	advance(&rotation->next[chosen]);
	return chosen;
}

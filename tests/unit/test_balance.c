/*
 * Least connections, and the choice by source: whose share moves when members change, and that the
 * shares go by the weights.
 */
#include "lb/balance_leastconn.h"
#include "lb/balance_source.h"
#include "tests/unit/unit.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum {
	MEMBERS = 5,
	CLIENTS = 20000,
};

static const char *const names[MEMBERS] = {"relay1", "relay2", "relay3", "relay4", "relay5"};

static struct addr
parse(const char *text)
{
	struct addr addr;
	ck_assert_int_eq(addr_parse(&addr, text), 0);
	return addr;
}

static struct addr
client_of(unsigned number)
{
	char text[64];
	if (number % 2)
		snprintf(text, sizeof(text), "2001:db8:%x:%x::25", number >> 8, number & 255);
	else
		snprintf(text, sizeof(text), "10.%u.%u.7", number >> 8, number & 255);
	return parse(text);
}

/* The client's choice among the members whose weight is not 0. */
static int
choose(const struct addr *client, const unsigned *weights)
{
	int chosen = -1;
	double least = 0;
	for (int i = 0; i < MEMBERS; i++) {
		if (!weights[i])
			continue;
		double rank = source_rank(source_client(client), source_name(names[i]), weights[i]);
		ck_assert(isfinite(rank) && rank > 0);
		if (chosen < 0 || rank < least) {
			chosen = i;
			least = rank;
		}
	}
	return chosen;
}

static const struct {
	unsigned before[MEMBERS], after[MEMBERS];
} changes[] = {
	{{1, 1, 1, 0, 0}, {1, 1, 0, 0, 0}},
	{{1, 1, 0, 0, 0}, {1, 1, 1, 0, 0}},
	{{1, 1, 1, 1, 1}, {1, 1, 1, 1, 0}},
	{{3, 2, 1, 0, 0}, {3, 0, 1, 0, 0}},
	{{3, 0, 1, 0, 0}, {3, 2, 1, 0, 0}},
	{{1, 1, 1, 0, 0}, {1, 4, 1, 0, 0}},
	{{1, 4, 1, 0, 0}, {1, 1, 1, 0, 0}},
};

static double
share_of(const unsigned *weights, int member)
{
	double sum = 0;
	for (int i = 0; i < MEMBERS; i++)
		sum += weights[i];
	return weights[member] / sum;
}

/* A client moves only away from a member that lost weight or to one that gained; how many is what
 * the shares demand. */
START_TEST(test_only_the_share_of_the_changed_moves)
{
	const unsigned *before = changes[_i].before, *after = changes[_i].after;
	int changed = 0;
	while (before[changed] == after[changed])
		changed++;
	bool gains = after[changed] > before[changed];
	unsigned moved = 0;
	for (unsigned i = 0; i < CLIENTS; i++) {
		struct addr client = client_of(i);
		int from = choose(&client, before), to = choose(&client, after);
		if (from == to)
			continue;
		ck_assert_int_eq(gains ? to : from, changed);
		moved++;
	}
	double expected = fabs(share_of(after, changed) - share_of(before, changed)) * CLIENTS;
	ck_assert_msg(
		fabs(moved - expected) < 0.05 * expected, "%u moved, not %.0f", moved, expected);
}
END_TEST

START_TEST(test_shares_go_by_weight)
{
	static const unsigned weights[MEMBERS] = {1, 2, 3, 10, 256};
	unsigned times[MEMBERS] = {0};
	double chi = 0;
	for (unsigned i = 0; i < CLIENTS; i++) {
		struct addr client = client_of(i);
		times[choose(&client, weights)]++;
	}
	for (int i = 0; i < MEMBERS; i++) {
		double expected = share_of(weights, i) * CLIENTS;
		chi += (times[i] - expected) * (times[i] - expected) / expected;
	}
	ck_assert_msg(chi < 18.5, "chi squared %.1f", chi); /* 4 degrees of freedom: 1 in 1000 */
}
END_TEST

/* One IPv6 host may change its address within its /64; the next network is somebody else. */
START_TEST(test_what_is_one_client)
{
	struct addr host = parse("2001:db8:1:2::1"), later = parse("2001:db8:1:2:ffff::9");
	struct addr neighbour = parse("2001:db8:1:3::1");
	ck_assert(source_client(&host) == source_client(&later));
	ck_assert(source_client(&host) != source_client(&neighbour));
	struct addr four = parse("192.0.2.1"), other = parse("192.0.2.2");
	struct addr mapped = parse("::ffff:192.0.2.1"), six = parse("c000:201::");
	ck_assert(source_client(&four) != source_client(&other));
	ck_assert(source_client(&four) == source_client(&mapped));
	ck_assert(source_client(&four) != source_client(&six));
}
END_TEST

/* Two balancers, and two versions of one, send a client to the same relay: this order stays. */
START_TEST(test_the_order_is_the_same_everywhere)
{
	static const struct {
		const char *client;
		const char *order;
	} rows[] = {
		{"203.0.113.1", "24153"},
		{"203.0.113.2", "53142"},
		{"203.0.113.3", "53412"},
		{"2001:db8:12::1", "54231"},
		{"2001:db8:12:1::1", "15342"},
	};
	for (size_t row = 0; row < sizeof(rows) / sizeof(*rows); row++) {
		unsigned weights[MEMBERS] = {1, 1, 1, 1, 1};
		char order[MEMBERS + 1] = "";
		struct addr client = parse(rows[row].client);
		for (int i = 0; i < MEMBERS; i++) {
			int next = choose(&client, weights);
			weights[next] = 0;
			order[i] = (char)('1' + next);
		}
		ck_assert_msg(
			strcmp(order, rows[row].order) == 0, "%s: %s", rows[row].client, order);
	}
}
END_TEST

static const struct load {
	unsigned active[MEMBERS], weights[MEMBERS]; /* weight 0 ends */
	const char *among, *least;
} loads[] = {
	{{0, 0, 0}, {1, 1, 1}, "012", "012"},
	{{1, 0, 0}, {1, 1, 1}, "012", "12"},
	{{1, 0, 0}, {1, 1, 1}, "0", "0"},
	{{2, 1}, {2, 1}, "01", "01"},
	{{3, 2}, {2, 1}, "01", "0"},
	{{4, 1}, {2, 1}, "01", "1"},
	{{0, 0}, {256, 1}, "01", "01"},
	{{1 << 25, 1}, {256, 256}, "01", "1"},
	{{5, 4, 4, 9}, {1, 1, 1, 1}, "", ""},
};

START_TEST(test_least)
{
	const struct load *load = &loads[_i];
	struct backend backends[MEMBERS];
	struct backend *members[MEMBERS];
	struct member_set among = {{0}};
	unsigned count = 0;
	for (; count < MEMBERS && load->weights[count]; count++) {
		backends[count].active = load->active[count];
		backends[count].weight = load->weights[count];
		members[count] = &backends[count];
		if (strchr(load->among, (char)('0' + count)))
			member_set_add(&among, count);
	}
	struct member_set least = leastconn_least(members, count, &among);
	for (unsigned i = 0; i < count; i++)
		ck_assert_msg(
			member_set_has(&least, i) == (strchr(load->least, (char)('0' + i)) != NULL),
			"row %d, member %u", _i, i);
}
END_TEST

static void
add(TCase *cases)
{
	tcase_add_loop_test(cases, test_only_the_share_of_the_changed_moves, 0,
		sizeof(changes) / sizeof(*changes));
	tcase_add_test(cases, test_shares_go_by_weight);
	tcase_add_test(cases, test_what_is_one_client);
	tcase_add_test(cases, test_the_order_is_the_same_everywhere);
	tcase_add_loop_test(cases, test_least, 0, sizeof(loads) / sizeof(*loads));
}

UNIT_MAIN("balance", add)

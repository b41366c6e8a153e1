/*
 * Looks at the pools that are served: who is in trouble, in which pool, and what of it survives.
 */
#include "lb/troubles.h"

#include "lb/metrics.h"
#include "lb/pool_state.h"
#include "lb/runtime.h"
#include "lb/tally.h"
#include "tests/unit/memory_faults.h"
#include "tests/unit/pool_fixture.h"
#include "tests/unit/unit.h"

struct site {
	struct fixture fixture;
	struct pool *pool;
	struct runtime runtime;
	struct serving serving;
	struct ev_loop *loop;
};

/* A first look at once: it makes any number of them without time passing. */
static void
look(struct site *site)
{
	struct troubles troubles;
	troubles_init(&troubles, site->loop, &site->serving);
	ev_run(site->loop, EVRUN_NOWAIT);
	troubles_fini(&troubles);
}

static void
open_site(struct site *site, size_t count)
{
	memset(site, 0, sizeof(*site));
	site->pool = begin(&site->fixture, count, NULL);
	site->runtime.snapshot = &site->fixture.snapshot;
	site->runtime.pools = &site->pool;
	site->serving.runtime = &site->runtime;
	site->loop = ev_loop_new(0);
	look(site);
}

static void
close_site(struct site *site)
{
	ev_loop_destroy(site->loop);
	pool_set_free(site->fixture.set);
}

static struct backend *
backend_of(const struct site *site, size_t number)
{
	return pool_find(site->pool, site->fixture.names[number], NULL);
}

static bool
is_in_trouble(const struct site *site, size_t number)
{
	return backend_of(site, number)->troubles[STAGE_RCPT].lasts;
}

static void
reply(const struct site *site, size_t number, uint16_t code, unsigned times)
{
	struct backend *backend = backend_of(site, number);
	struct reply_status status = {.code = code};
	if (code / 100 == 4)
		deferral_note(&backend->deferrals, VERB_RCPT, &status);
	while (times--)
		backend_counts_reply(tally_block(backend->tally, 0), VERB_RCPT, code);
}

/* The first of them fails, as much as it takes. */
static void
let_fail(struct site *site)
{
	for (int i = 0; i < 2; i++) {
		reply(site, 0, 452, TROUBLE_REPLIES);
		reply(site, 1, 250, TROUBLE_REPLIES);
		look(site);
	}
}

START_TEST(one_fails)
{
	struct site site;
	open_site(&site, 3);
	let_fail(&site);
	ck_assert(is_in_trouble(&site, 0));
	ck_assert(!is_in_trouble(&site, 1));
	ck_assert(!is_in_trouble(&site, 2));
	for (int i = 0; i < STAGES; i++)
		ck_assert(backend_of(&site, 0)->troubles[i].lasts == (i == STAGE_RCPT));
	ck_assert_uint_eq(backend_of(&site, 0)->troubles[STAGE_RCPT].reply.code, 452);
	reply(&site, 0, 250, TROUBLE_REPLIES);
	look(&site);
	ck_assert(!is_in_trouble(&site, 0));
	close_site(&site);
}
END_TEST

/* The peers are the others all together, itself left out. */
START_TEST(peers_together)
{
	struct site site;
	open_site(&site, 3);
	for (int i = 0; i < 2; i++) {
		reply(&site, 0, 450, TROUBLE_REPLIES);
		reply(&site, 1, 450, TROUBLE_REPLIES / 4);
		reply(&site, 2, 250, TROUBLE_REPLIES - TROUBLE_REPLIES / 4);
		look(&site);
		const struct stage_counts *peers =
			&backend_of(&site, 0)->troubles[STAGE_RCPT].peers;
		ck_assert_uint_eq(peers->replies, TROUBLE_REPLIES);
		ck_assert_uint_eq(peers->deferred, TROUBLE_REPLIES / 4);
	}
	ck_assert(is_in_trouble(&site, 0));
	ck_assert(!is_in_trouble(&site, 1));
	close_site(&site);
}
END_TEST

START_TEST(it_survives_a_reload)
{
	struct site site;
	open_site(&site, 2);
	let_fail(&site);
	site.pool = configure(&site.fixture, 3, (const unsigned[]){7, 1, 1});
	look(&site);
	ck_assert(is_in_trouble(&site, 0));
	close_site(&site);
}
END_TEST

/* What was counted under its name says nothing of it. */
START_TEST(another_address_is_another_relay)
{
	struct site site;
	open_site(&site, 2);
	let_fail(&site);
	ck_assert_int_eq(addr_parse(&site.fixture.backends[0].address, "192.0.2.77"), 0);
	apply(&site.fixture);
	for (int i = 0; i < 2; i++) {
		look(&site);
		ck_assert(!is_in_trouble(&site, 0));
		ck_assert_uint_eq(backend_of(&site, 0)->troubles[STAGE_RCPT].own.replies, 0);
	}
	let_fail(&site);
	ck_assert(is_in_trouble(&site, 0));
	close_site(&site);
}
END_TEST

START_TEST(who_goes_is_forgotten)
{
	struct site site;
	struct backend_conf gone;
	struct pick held;
	struct claim claim = {.client = 0};
	uint64_t again_ms;
	open_site(&site, 2);
	let_fail(&site);
	/* With a session, which lets it come back with all that it has counted. */
	ck_assert_int_eq(pool_pick(site.pool, &claim, &held, &again_ms), PICK_DONE);
	ck_assert_int_eq(number_of(&held), 0);
	gone = site.fixture.backends[0];
	site.fixture.backends[0] = site.fixture.backends[1];
	site.fixture.conf.backend_count = 1;
	apply(&site.fixture);
	look(&site);
	site.fixture.backends[0] = gone;
	site.fixture.conf.backend_count = 2;
	apply(&site.fixture);
	ck_assert_ptr_eq(backend_of(&site, 0), held.backend);
	ck_assert(!is_in_trouble(&site, 0));
	look(&site);
	ck_assert(!is_in_trouble(&site, 0));
	pool_release(held.backend);
	close_site(&site);
}
END_TEST

/* Nothing is lost by it. */
START_TEST(no_memory_for_a_look)
{
	struct site site;
	open_site(&site, 2);
	for (int i = 0; i < 2; i++) {
		reply(&site, 0, 452, TROUBLE_REPLIES);
		reply(&site, 1, 250, TROUBLE_REPLIES);
		memory_refused = 1;
		look(&site);
		ck_assert_uint_eq(memory_refused, 0);
		ck_assert(!is_in_trouble(&site, 0));
		look(&site);
	}
	ck_assert(is_in_trouble(&site, 0));
	close_site(&site);
}
END_TEST

static void
fill(TCase *cases)
{
	tcase_add_test(cases, one_fails);
	tcase_add_test(cases, peers_together);
	tcase_add_test(cases, it_survives_a_reload);
	tcase_add_test(cases, another_address_is_another_relay);
	tcase_add_test(cases, who_goes_is_forgotten);
	tcase_add_test(cases, no_memory_for_a_look);
}

UNIT_MAIN("troubles", fill)

/*
 * The load of the last minutes, by counts and a clock that the tests make up; and the looks at it.
 */
#include "lb/admin/samples.h"

#include "lb/admin/history.h"
#include "lb/pool_state.h"
#include "lb/runtime.h"
#include "lb/tally.h"
#include "tests/unit/memory_faults.h"
#include "tests/unit/pool_fixture.h"
#include "tests/unit/unit.h"

enum {
	STEP_MS = 5000,
};

static struct samples samples;
static const struct growth none;

static void
look(unsigned number, uint64_t sessions)
{
	struct load load = {.sessions = sessions, .denied = 2 * sessions};
	for (unsigned i = 0; i < OUTCOMES; i++)
		load.messages[i] = (i + 3) * sessions;
	samples_add(&samples, 1 + number * STEP_MS, &load, number, &none);
}

START_TEST(first_look_only_begins)
{
	ck_assert_uint_eq(samples_count(&samples), 0);
	look(0, 1000);
	ck_assert_uint_eq(samples_count(&samples), 0);
	look(1, 1010);
	ck_assert_uint_eq(samples_count(&samples), 1);
	const struct sample *sample = samples_at(&samples, 0);
	ck_assert_uint_eq(sample->ms, STEP_MS);
	ck_assert_uint_eq(sample->active, 1);
	ck_assert_uint_eq(sample->load.sessions, 10);
	ck_assert_uint_eq(sample->load.denied, 20);
	for (unsigned i = 0; i < OUTCOMES; i++)
		ck_assert_uint_eq(sample->load.messages[i], 10 * (i + 3));
}
END_TEST

/* The sample of look i has i sessions. */
START_TEST(newest_take_the_place_of_the_oldest)
{
	uint64_t all = 0;
	for (unsigned i = 0; i < 3 * SAMPLES; i++) {
		look(i, all += i);
		size_t count = samples_count(&samples);
		ck_assert_uint_eq(count, i < SAMPLES ? i : SAMPLES);
		for (size_t j = 0; j < count; j++) {
			ck_assert_uint_eq(
				samples_at(&samples, j)->load.sessions, i - count + j + 1);
			ck_assert_uint_eq(samples_at(&samples, j)->active, i - count + j + 1);
		}
	}
}
END_TEST

/* A reload took a listener out, and what it had counted with it. */
START_TEST(counters_that_go_down)
{
	static const struct {
		uint64_t all, growth;
	} steps[] = {{1000, 0}, {1010, 10}, {30, 0}, {31, 1}, {0, 0}, {0, 0}, {7, 7}};
	size_t count = sizeof(steps) / sizeof(*steps);
	for (unsigned i = 0; i < count; i++)
		look(i, steps[i].all);
	for (unsigned i = 1; i < count; i++) {
		const struct load *load = &samples_at(&samples, i - 1)->load;
		ck_assert_uint_eq(load->sessions, steps[i].growth);
		ck_assert_uint_eq(load->denied, 2 * steps[i].growth);
		ck_assert_uint_eq(
			load->messages[OUTCOME_REJECTED], (OUTCOME_REJECTED + 3) * steps[i].growth);
	}
}
END_TEST

/* The looks. */

struct site {
	struct fixture fixture;
	struct pool *pool;
	struct tally *tally;
	struct listener_conf listener;
	struct runtime runtime;
	struct serving serving;
	struct ev_loop *loop;
};

static void
open_site(struct site *site)
{
	memset(site, 0, sizeof(*site));
	site->pool = begin(&site->fixture, 2, NULL);
	site->tally = tally_new(sizeof(struct listener_counts), 1);
	site->fixture.snapshot.listeners = &site->listener;
	site->fixture.snapshot.listener_count = 1;
	site->runtime.snapshot = &site->fixture.snapshot;
	site->runtime.pools = &site->pool;
	site->runtime.tallies = &site->tally;
	site->serving.runtime = &site->runtime;
	site->loop = ev_loop_new(0);
}

static void
close_site(struct site *site)
{
	ev_loop_destroy(site->loop);
	tally_unref(site->tally);
	pool_set_free(site->fixture.set);
}

static const struct recent *
recent_of(const struct site *site, const char *name)
{
	return &pool_find(site->pool, name, NULL)->recent;
}

/* A first look at once. A backend that can't be looked at for want of memory is seen by the next:
 * nothing is lost. */
START_TEST(looks_at_all_backends)
{
	for (unsigned refused = 0; refused < 2; refused++) {
		struct site site;
		open_site(&site);
		struct history *history = history_new(site.loop, &site.serving);
		memory_refused = refused;
		ev_run(site.loop, EVRUN_NOWAIT);
		ck_assert_uint_eq(memory_refused, 0);
		ck_assert(recent_of(&site, "relay0")->begun == !refused);
		ck_assert(recent_of(&site, "relay1")->begun == !refused);
		json_t *json = history_json(history);
		json_t *columns = json_object_get(json, "samples");
		const char *key;
		json_t *column;
		ck_assert_uint_eq(json_object_size(columns), 9);
		json_object_foreach(columns, key, column)
			ck_assert_uint_eq(json_array_size(column), 0);
		json_decref(json);
		history_free(history);
		close_site(&site);
	}
}
END_TEST

START_TEST(no_memory_for_a_history)
{
	struct site site;
	open_site(&site);
	memory_refused = 1;
	ck_assert_ptr_null(history_new(site.loop, &site.serving));
	ck_assert_uint_eq(memory_refused, 0);
	history_free(NULL);
	close_site(&site);
}
END_TEST

static void
fill(TCase *cases)
{
	tcase_add_test(cases, first_look_only_begins);
	tcase_add_test(cases, newest_take_the_place_of_the_oldest);
	tcase_add_test(cases, counters_that_go_down);
	tcase_add_test(cases, looks_at_all_backends);
	tcase_add_test(cases, no_memory_for_a_history);
}

UNIT_MAIN("samples", fill)

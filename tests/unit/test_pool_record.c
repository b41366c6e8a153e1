/*
 * The record that one process leaves to the next: what of it is taken, and what is not.
 */
#include "lb/pool_record.h"

#include "health/health.h"
#include "lb/pool_status.h"
#include "lb/runtime.h"
#include "tests/unit/memory_faults.h"
#include "tests/unit/pool_fixture.h"
#include "tests/unit/unit.h"

static void
on_change(void *context, const char *pool, const char *backend, const struct addr *address, bool up,
	const struct probe_result *result)
{
	(void)context;
	(void)pool;
	(void)backend;
	(void)address;
	(void)up;
	(void)result;
}

static const struct health_events events = {.on_change = on_change};

/* A process that serves two relays, neither of them probed. */
struct process {
	struct fixture fixture;
	struct pool *pool;
	struct runtime runtime;
	struct serving serving;
};

static void
begin_process(struct process *process)
{
	process->pool = begin(&process->fixture, 2, NULL);
	process->runtime = (struct runtime){
		.snapshot = &process->fixture.snapshot,
		.pools = &process->pool,
	};
	process->serving = (struct serving){
		.pools = process->fixture.set,
		.health = health_new(ev_default_loop(0), &events, NULL),
		.runtime = &process->runtime,
	};
	ck_assert_ptr_nonnull(process->serving.health);
}

static void
end_process(struct process *process)
{
	health_free(process->serving.health);
	pool_set_free(process->fixture.set);
}

static struct backend_status
look(struct process *process, size_t index)
{
	struct pool_status status;
	ck_assert_int_eq(pool_look(process->pool, &status), 0);
	struct backend_status one = status.backends[index];
	pool_status_fini(process->pool, &status);
	return one;
}

static void
restore(struct process *process, const char *text)
{
	json_t *record = json_loads(text, 0, NULL);
	ck_assert_ptr_nonnull(record);
	pool_record_restore(record, &process->serving);
	json_decref(record);
}

START_TEST(from_one_to_the_next)
{
	struct process before, after;
	begin_process(&before);
	ck_assert_int_eq(pool_order(before.pool, "relay0", ADMIN_MAINT, 1000), 0);
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(pick(before.pool, ATTEMPT_FAILED), 1);
	json_t *record = pool_record_new(&before.serving);
	ck_assert_ptr_nonnull(record);

	begin_process(&after);
	pool_record_restore(record, &after.serving);
	json_decref(record);
	for (size_t i = 0; i < 2; i++) {
		struct backend_status old = look(&before, i), new = look(&after, i);
		ck_assert_int_eq(new.admin, old.admin);
		ck_assert_int_eq(new.greetings_up, old.greetings_up);
		ck_assert_uint_eq(new.since_ms, old.since_ms);
		ck_assert_str_eq(new.why, old.why);
	}
	ck_assert(pool_next_cut(after.pool) == pool_next_cut(before.pool));
	ck_assert(!look(&after, 1).greetings_up);
	end_process(&before);
	end_process(&after);
}
END_TEST

#define RECORD(pool, backend, address, state, probe, greetings)                      \
	"[{\"pool\":\"" pool "\",\"backend\":\"" backend "\",\"address\":\"" address \
	"\",\"state\":\"" state "\",\"cut_at_ms\":0,\"since_ms\":1,\"probe\":" probe \
	",\"greetings\":" greetings "}]"

/* Nothing of these holds for a backend that is there. */
START_TEST(what_is_not_taken)
{
	static const char *const texts[] = {
		"[]",
		"{}",
		"[1, null, {}, {\"pool\": \"relays\"}]",
		RECORD("other", "relay0", "192.0.2.1", "drain", "null", "null"),
		RECORD("relays", "other", "192.0.2.1", "drain", "null", "null"),
		RECORD("relays", "relay0", "192.0.2.9", "drain", "null", "null"),
		RECORD("relays", "relay0", "nowhere", "drain", "null", "null"),
		RECORD("relays", "relay0", "192.0.2.1", "asleep", "null", "null"),
	};
	struct process process;
	begin_process(&process);
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		restore(&process, texts[i]);
		for (size_t j = 0; j < 2; j++) {
			struct backend_status status = look(&process, j);
			ck_assert(status.up);
			ck_assert_int_eq(status.admin, ADMIN_READY);
		}
	}
	end_process(&process);
}
END_TEST

/* What keeps a backend down counts only where something can bring it up again. */
START_TEST(who_is_not_measured_any_more)
{
	struct process process;
	begin_process(&process);
	restore(&process,
		RECORD("relays", "relay0", "192.0.2.1", "ready", "\"status 503\"", "null"));
	ck_assert(look(&process, 0).up);
	restore(&process,
		RECORD("relays", "relay0", "192.0.2.1", "ready", "null", "\"3 in a row\""));
	ck_assert(!look(&process, 0).up);
	process.fixture.conf.check.greeting_fall = 0;
	process.pool = apply(&process.fixture);
	restore(&process,
		RECORD("relays", "relay0", "192.0.2.1", "ready", "null", "\"3 in a row\""));
	ck_assert(look(&process, 0).up);
	end_process(&process);
}
END_TEST

static void
fill(TCase *cases)
{
	tcase_add_test(cases, from_one_to_the_next);
	tcase_add_test(cases, what_is_not_taken);
	tcase_add_test(cases, who_is_not_measured_any_more);
}

UNIT_MAIN("pool_record", fill)

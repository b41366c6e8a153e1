/*
 * The snapshot's making and its references; see snapshot.h. Made by the thread that loads, shared
 * by all, freed by whichever drops the last reference.
 */
#include "conf/snapshot.h"
#include "acl/mem.h"
#include "conf/check.h"
#include "conf/grammar.h"
#include "conf/statements.h"
#include "conf/text.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void
pool_fini(struct pool_conf *pool)
{
	for (size_t i = 0; i < pool->backend_count; i++)
		free(pool->backends[i].name);
	free(pool->backends);
	free(pool->check.path);
	free(pool->check.host);
	free(pool->check.status);
	free(pool->tls_name);
	trust_free(pool->trust);
	trust_free(pool->check.trust);
	free(pool->name);
}

static void
snapshot_free(struct snapshot *snapshot)
{
	for (size_t i = 0; i < snapshot->listener_count; i++) {
		certificates_free(snapshot->listeners[i].certificates);
		free(snapshot->listeners[i].accept_proxy);
		free(snapshot->listeners[i].binds);
		free(snapshot->listeners[i].name);
	}
	for (size_t i = 0; i < snapshot->pool_count; i++)
		pool_fini(&snapshot->pools[i]);
	for (size_t i = 0; i < snapshot->acl_count; i++)
		acl_free(snapshot->acls[i]);
	for (size_t i = 0; i < GEO_KINDS; i++)
		geo_free(snapshot->geo[i]);
	sources_fini(&snapshot->sources);
	free(snapshot->text);
	free(snapshot->listeners);
	free(snapshot->pools);
	free(snapshot->acls);
	free(snapshot->admin.socket);
	free(snapshot->user);
	free(snapshot->hostname);
	free(snapshot->file);
	free(snapshot);
}

/* A copy with one byte more, which may be written to. */
static char *
copy_text(const char *text, size_t len)
{
	char *copy = mem_new(len + 1, 1);
	memcpy(copy, text, len);
	return copy;
}

/* refused: gets the files that were read, on error; NULL where nobody asks. */
static struct snapshot *
parse_within_load(const char *file, const char *original, size_t len, struct sources *refused,
	struct report *report)
{
	char *text = copy_text(original, len);
	struct problem problem = {0};
	size_t errors = report->errors;
	text_clean(text, len, &problem);
	unsigned stopped = statements_prune(text, file, report);
	cfg_t *top = grammar_parse(text, &problem);
	/* A guard only: libconfuse gives up wherever the walk did. */
	if (stopped && !problem.line)
		problem_note(&problem, stopped, "this is no statement; write KEY = VALUE");

	struct load load = {.file = file, .report = report, .whole = !problem.line};
	struct snapshot *snapshot = mem_new(1, sizeof(*snapshot));
	snapshot->refs = 1;
	snapshot->file = mem_text(file);
	snapshot->text = copy_text(original, len);
	snapshot->text_len = len;
	if (top)
		check_all(&load, top, snapshot);
	cfg_free(top);
	free(text);
	if (problem.line)
		report_error(report, file, problem.line, "%s", problem.what);
	if (report->errors == errors)
		return snapshot;
	if (refused) {
		*refused = snapshot->sources;
		sources_init(&snapshot->sources);
	}
	snapshot_free(snapshot);
	return NULL;
}

/* The same, as one load (mem.h). */
static struct snapshot *
parse(const char *file, const char *original, size_t len, struct sources *refused,
	struct report *report)
{
	struct snapshot *snapshot = NULL;
	int result = mem_load_begin();
	if (result == 0) {
		snapshot = parse_within_load(file, original, len, refused, report);
		result = mem_load_end();
	}
	if (result == 0)
		return snapshot;
	snapshot_unref(snapshot);
	report_error(report, file, 0, "no memory to load this configuration");
	return NULL;
}

struct snapshot *
snapshot_parse(const char *file, const char *text, size_t len, struct report *report)
{
	return parse(file, text, len, NULL, report);
}

struct snapshot *
snapshot_load(const char *file, struct report *report)
{
	size_t len;
	char *text = text_read(file, &len);
	if (!text) {
		report_error(report, file, 0, "can't be read: %s", strerror(errno));
		return NULL;
	}
	struct snapshot *snapshot = snapshot_parse(file, text, len, report);
	free(text);
	return snapshot;
}

struct snapshot *
snapshot_again(const struct snapshot *snapshot, struct sources *refused, struct report *report)
{
	return parse(snapshot->file, snapshot->text, snapshot->text_len, refused, report);
}

char *
snapshot_admin_socket(const char *file)
{
	size_t len = 0;
	char *text = text_read(file, &len);
	struct problem problem = {0};
	struct report report;
	if (!text)
		text = copy_text("", 0);
	report_init(&report);
	text_clean(text, len, &problem);
	statements_prune(text, file, &report);
	cfg_t *top = grammar_parse(text, &problem);
	struct value path = value_get(cfg_getsec(top, "admin"), "socket");
	char *result = mem_text(path.text);
	cfg_free(top);
	report_fini(&report);
	free(text);
	return result;
}

struct snapshot *
snapshot_ref(struct snapshot *snapshot)
{
	unsigned before = __atomic_fetch_add(&snapshot->refs, 1, __ATOMIC_RELAXED);
	assert(before);
	(void)before;
	return snapshot;
}

void
snapshot_unref(struct snapshot *snapshot)
{
	if (snapshot && __atomic_sub_fetch(&snapshot->refs, 1, __ATOMIC_ACQ_REL) == 0)
		snapshot_free(snapshot);
}

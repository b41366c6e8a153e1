/*
 * See metrics_page.h. Here: the table, and how a metric's samples are written.
 */
#include "lb/admin/metrics_page.h"

#include "lb/admin/exposition.h"
#include "lb/admin/figures.h"
#include "lb/choose_engine.h"
#include "lb/log.h"

#include <stddef.h>
#include <stdio.h>

#define COUNTER "counter"
#define GAUGE "gauge"
#define HISTOGRAM "histogram"

enum {
	LABELS_MAX = 5, /* with the one that ends them */
};

struct metric {
	const char *name, *type, *help;
	/* One of these writes the samples, for each that there is. Its labels are there, behind
	 * them is room for others. */
	void (*of_listener)(struct exposition *, const struct metric *, struct label *,
		const struct listener_counts *);
	void (*of_listener_conf)(struct exposition *, const struct metric *, const struct label *,
		const struct listener_conf *);
	void (*of_pool)(struct exposition *, const struct metric *, struct label *,
		const struct pool_status *);
	void (*of_backend)(struct exposition *, const struct metric *, struct label *,
		const struct backend_status *, const struct backend_counts *);
	void (*of_all)(struct exposition *, const struct metric *, const struct figures *);
	size_t offset;             /* of what is counted, in the counts; of a figure, in process */
	const char *label;         /* that tells several counters apart; NULL for one alone */
	const char *const *values; /* the label's */
	size_t count;
};

/* Of counts. */

/* Behind the labels that are there. */
static struct label *
add_label(struct label *labels, const char *name)
{
	while (labels->name)
		labels++;
	labels->name = name;
	return labels;
}

static const void *
at_offset(const void *counts, const struct metric *metric)
{
	return (const char *)counts + metric->offset;
}

static void
write_counts(struct exposition *out, const struct metric *metric, struct label *labels,
	const uint64_t *counts)
{
	struct label *label = add_label(labels, metric->label);
	for (size_t i = 0; i < metric->count; i++) {
		label->value = metric->values[i];
		exposition_number(out, metric->name, "", labels, counts[i]);
	}
}

static void
of_listener(struct exposition *out, const struct metric *metric, struct label *labels,
	const struct listener_counts *counts)
{
	write_counts(out, metric, labels, at_offset(counts, metric));
}

static void
certificate_expiry(struct exposition *out, const struct metric *metric, const struct label *labels,
	const struct listener_conf *listener)
{
	if (listener->certificates)
		exposition_real(out, metric->name, "", labels,
			(double)certificates_expire(listener->certificates));
}

/* A denied session is counted as such only. */
static void
sessions(struct exposition *out, const struct metric *metric, struct label *labels,
	const struct listener_counts *counts)
{
	struct label *label = add_label(labels, "result");
	for (size_t i = 0; i < RESULTS; i++) {
		label->value = session_result_names[i];
		if (i != RESULT_DENIED)
			exposition_number(out, metric->name, "", labels, counts->sessions[i]);
	}
}

static void
sessions_opaque(struct exposition *out, const struct metric *metric, struct label *labels,
	const struct listener_counts *counts)
{
	struct label *label = add_label(labels, "reason");
	for (size_t i = OPAQUE_NOT + 1; i < OPAQUES; i++) {
		label->value = tracker_opaque_name((enum tracker_opaque)i);
		exposition_number(out, metric->name, "", labels, counts->opaque[i]);
	}
}

static void
sessions_active(struct exposition *out, const struct metric *metric, struct label *labels,
	const struct listener_counts *counts)
{
	exposition_number(out, metric->name, "", labels, counts->active);
}

static void
of_backend(struct exposition *out, const struct metric *metric, struct label *labels,
	const struct backend_status *status, const struct backend_counts *counts)
{
	(void)status;
	write_counts(out, metric, labels, at_offset(counts, metric));
}

static void
backend_sessions(struct exposition *out, const struct metric *metric, struct label *labels,
	const struct backend_status *status, const struct backend_counts *counts)
{
	(void)status;
	exposition_number(out, metric->name, "", labels, counts->sessions);
}

static void
replies(struct exposition *out, const struct metric *metric, struct label *labels,
	const struct backend_status *status, const struct backend_counts *counts)
{
	(void)status;
	struct label *verb = add_label(labels, "verb"), *reply_class = add_label(labels, "class");
	for (size_t i = 0; i < VERBS; i++) {
		verb->value = verb_name((enum verb)i);
		for (size_t j = 0; j < REPLY_CLASSES; j++) {
			reply_class->value = reply_class_names[j];
			exposition_number(out, metric->name, "", labels, counts->replies[i][j]);
		}
	}
}

static void
of_durations(struct exposition *out, const struct metric *metric, struct label *labels,
	const struct backend_status *status, const struct backend_counts *counts)
{
	(void)status;
	const struct durations *durations = at_offset(counts, metric);
	struct label *label = add_label(labels, "le");
	uint64_t count = 0;
	for (size_t i = 0; i <= DURATION_BOUNDS; i++) {
		char bound[32] = "+Inf";
		if (i < DURATION_BOUNDS)
			snprintf(bound, sizeof(bound), "%g", (double)duration_bounds_us[i] / 1e6);
		count += durations->counts[i];
		label->value = bound;
		exposition_number(out, metric->name, "_bucket", labels, count);
	}
	label->name = NULL;
	exposition_real(out, metric->name, "_sum", labels, (double)durations->sum_us / 1e6);
	exposition_number(out, metric->name, "_count", labels, count);
}

/* Of what is so now. */

static void
backend_up(struct exposition *out, const struct metric *metric, struct label *labels,
	const struct backend_status *status, const struct backend_counts *counts)
{
	(void)counts;
	exposition_number(out, metric->name, "", labels, status->up);
}

static void
backend_admin_state(struct exposition *out, const struct metric *metric, struct label *labels,
	const struct backend_status *status, const struct backend_counts *counts)
{
	(void)counts;
	struct label *label = add_label(labels, "state");
	for (int i = ADMIN_READY; i <= ADMIN_MAINT; i++) {
		label->value = admin_state_name((enum admin_state)i);
		exposition_number(out, metric->name, "", labels, (int)status->admin == i);
	}
}

static void
backend_sessions_active(struct exposition *out, const struct metric *metric, struct label *labels,
	const struct backend_status *status, const struct backend_counts *counts)
{
	(void)counts;
	exposition_number(out, metric->name, "", labels, status->active);
}

static void
backend_trouble(struct exposition *out, const struct metric *metric, struct label *labels,
	const struct backend_status *status, const struct backend_counts *counts)
{
	(void)counts;
	char text[REPLY_STATUS_TEXT_MAX];
	struct label *verb = add_label(labels, "verb"), *reply = add_label(labels, "reply");
	for (size_t i = 0; i < STAGES; i++) {
		const struct trouble *trouble = &status->backend->troubles[i];
		if (!trouble->lasts)
			continue;
		verb->value = stage_name((enum stage)i);
		reply->value = reply_status_format(&trouble->reply, text);
		exposition_number(out, metric->name, "", labels, 1);
	}
}

static void
queue_length(struct exposition *out, const struct metric *metric, struct label *labels,
	const struct pool_status *status)
{
	exposition_number(out, metric->name, "", labels, status->waiting);
}

static const struct label no_labels[] = {{.name = NULL}};

static void
reload_success(struct exposition *out, const struct metric *metric, const struct figures *figures)
{
	exposition_number(out, metric->name, "", no_labels, !figures->serving->refused);
}

static void
reload_timestamp(struct exposition *out, const struct metric *metric, const struct figures *figures)
{
	exposition_real(
		out, metric->name, "", no_labels, (double)figures->serving->changed_ms / 1000);
}

static void
log_lines_dropped(
	struct exposition *out, const struct metric *metric, const struct figures *figures)
{
	(void)figures;
	exposition_number(out, metric->name, "", no_labels, log_dropped());
}

static void
build_info(struct exposition *out, const struct metric *metric, const struct figures *figures)
{
	const struct label labels[] = {{"version", SMTPLB_VERSION},
		{"engine", engine_name(figures->serving->shared.engine)}, {.name = NULL}};
	exposition_number(out, metric->name, "", labels, 1);
}

static void
of_process(struct exposition *out, const struct metric *metric, const struct figures *figures)
{
	const double *figure = at_offset(&figures->process, metric);
	exposition_real(out, metric->name, "", no_labels, *figure);
}

/* The table. */

#define SEVERAL(type, member, label_, names)                                           \
	.offset = offsetof(struct type, member), .label = (label_), .values = (names), \
	.count = sizeof(((struct type *)NULL)->member) / sizeof(uint64_t)
#define DURATIONS(member) .offset = offsetof(struct backend_counts, member)
#define PROCESS(member) .of_all = of_process, .offset = offsetof(struct process_figures, member)

static const struct metric table[] = {
	{"smtplb_sessions_total", COUNTER, "Sessions that have ended, denied ones left out.",
		.of_listener = sessions},
	{"smtplb_sessions_active", GAUGE, "Sessions that are open, denied ones left out.",
		.of_listener = sessions_active},
	{"smtplb_sessions_opaque_total", COUNTER,
		"Sessions that have ended and could not be followed to the end.",
		.of_listener = sessions_opaque},
	{"smtplb_denied_total", COUNTER, "Clients turned away, by the acl or by a limit.",
		.of_listener = of_listener,
		SEVERAL(listener_counts, denied, "reason", denial_names)},
	{"smtplb_tls_handshakes_total", COUNTER, "TLS handshakes of clients.",
		.of_listener = of_listener,
		SEVERAL(listener_counts, handshakes, "outcome", handshake_names)},
	{"smtplb_tls_failures_total", COUNTER, "TLS handshakes of clients that failed.",
		.of_listener = of_listener,
		SEVERAL(listener_counts, failures, "cause", failure_names)},
	{"smtplb_certificate_expiry_timestamp_seconds", GAUGE,
		"When the first certificate of the listener expires, since 1970.",
		.of_listener_conf = certificate_expiry},
	{"smtplb_bytes_total", COUNTER, "Bytes from clients and to clients.",
		.of_listener = of_listener,
		SEVERAL(listener_counts, bytes, "direction", direction_names)},
	{"smtplb_listener_messages_total", COUNTER,
		"Messages of its clients, by the reply to their last byte.",
		.of_listener = of_listener,
		SEVERAL(listener_counts, messages, "outcome", message_outcome_names)},
	{"smtplb_backend_up", GAUGE, "Whether probes and greetings say that it is up.",
		.of_backend = backend_up},
	{"smtplb_backend_admin_state", GAUGE, "Whether this is the state that was ordered.",
		.of_backend = backend_admin_state},
	{"smtplb_backend_trouble", GAUGE,
		"While it answers 4xx far more often than its peers, by what it answers.",
		.of_backend = backend_trouble},
	{"smtplb_backend_sessions_active", GAUGE, "Sessions and attempts that are open.",
		.of_backend = backend_sessions_active},
	{"smtplb_backend_sessions_total", COUNTER, "Sessions that it has greeted with 220.",
		.of_backend = backend_sessions},
	{"smtplb_backend_failures_total", COUNTER, "Attempts that it has not greeted with 220.",
		.of_backend = of_backend, SEVERAL(backend_counts, failures, "cause", cause_names)},
	{"smtplb_backend_replies_total", COUNTER, "Its replies, by what they answer.",
		.of_backend = replies},
	{"smtplb_messages_total", COUNTER, "Messages, by its reply to their last byte.",
		.of_backend = of_backend,
		SEVERAL(backend_counts, messages, "outcome", message_outcome_names)},
	{"smtplb_recipients_total", COUNTER, "Recipients, by its replies to RCPT.",
		.of_backend = of_backend,
		SEVERAL(backend_counts, recipients, "outcome", message_outcome_names)},
	{"smtplb_probes_total", COUNTER, "Health probes that have ended.", .of_backend = of_backend,
		SEVERAL(backend_counts, probes, "outcome", probe_outcome_names)},
	{"smtplb_queue_length", GAUGE, "Sessions that wait for a backend.",
		.of_pool = queue_length},
	{"smtplb_connect_seconds", HISTOGRAM, "How long connecting to it took.",
		.of_backend = of_durations, DURATIONS(connect)},
	{"smtplb_greeting_seconds", HISTOGRAM, "How long after that it said 220.",
		.of_backend = of_durations, DURATIONS(greeting)},
	{"smtplb_config_reload_success", GAUGE, "Whether the last load was put into effect.",
		.of_all = reload_success},
	{"smtplb_config_reload_timestamp_seconds", GAUGE,
		"When a load was last put into effect, since 1970.", .of_all = reload_timestamp},
	{"smtplb_log_dropped_total", COUNTER, "Log lines that could not be written.",
		.of_all = log_lines_dropped},
	{"smtplb_build_info", GAUGE, "Version and engine, always 1.", .of_all = build_info},
	{"process_cpu_seconds_total", COUNTER, "Processor time, of user and system.",
		PROCESS(cpu_s)},
	{"process_resident_memory_bytes", GAUGE, "Resident memory.", PROCESS(resident_bytes)},
	{"process_virtual_memory_bytes", GAUGE, "Virtual memory.", PROCESS(virtual_bytes)},
	{"process_open_fds", GAUGE, "Open file descriptors.", PROCESS(open_fds)},
	{"process_max_fds", GAUGE, "The limit of open file descriptors.", PROCESS(max_fds)},
	{"process_start_time_seconds", GAUGE, "When it was started, since 1970.", PROCESS(start_s)},
};

/* The page. */

static void
write_listeners(struct exposition *out, const struct metric *metric, const struct figures *figures)
{
	const struct snapshot *snapshot = figures->snapshot;
	for (size_t i = 0; i < snapshot->listener_count; i++) {
		struct label labels[LABELS_MAX] = {{"listener", snapshot->listeners[i].name}};
		if (metric->of_listener)
			metric->of_listener(out, metric, labels, &figures->listeners[i]);
		else
			metric->of_listener_conf(out, metric, labels, &snapshot->listeners[i]);
	}
}

static void
write_pool(struct exposition *out, const struct metric *metric, const struct pool_figures *pool)
{
	if (metric->of_pool) {
		struct label labels[LABELS_MAX] = {{"pool", pool->name}};
		metric->of_pool(out, metric, labels, &pool->status);
		return;
	}
	for (size_t i = 0; i < pool->status.count; i++) {
		const struct backend_status *status = &pool->status.backends[i];
		struct label labels[LABELS_MAX] = {
			{"pool", pool->name}, {"backend", status->backend->name}};
		metric->of_backend(out, metric, labels, status, &pool->counts[i]);
	}
}

static void
write_metric(struct exposition *out, const struct metric *metric, const struct figures *figures)
{
	exposition_head(out, metric->name, metric->type, metric->help);
	if (metric->of_all) {
		metric->of_all(out, metric, figures);
		return;
	}
	if (metric->of_listener || metric->of_listener_conf) {
		write_listeners(out, metric, figures);
		return;
	}
	for (size_t i = 0; i < figures->pool_count; i++)
		write_pool(out, metric, &figures->pools[i]);
}

char *
metrics_page(const struct serving *serving, const struct process *process)
{
	struct figures figures;
	struct exposition out;
	if (figures_take(&figures, serving, process) < 0)
		return NULL;
	exposition_init(&out);
	for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++)
		write_metric(&out, &table[i], &figures);
	figures_fini(&figures);
	return exposition_end(&out);
}

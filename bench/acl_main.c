/*
 * build/acl_bench: how fast a large acl loads and answers, beside libmaxminddb and a naive scan.
 * bench/acl runs it and sums up. One thread; each load in a child of its own, so that its memory
 * is nobody else's.
 *
 *	acl_bench FOLDER ENTRIES ROUNDS LOOKUPS SCANS
 *
 * Files go to FOLDER. A round a line on stdout, as JSON. Before, all three ways are asked about the
 * same addresses: if they do not agree, it ends with 1.
 */
#include "acl/acl.h"
#include "acl/mem.h"
#include "bench/acl_data.h"
#include "bench/acl_mmdb.h"
#include "bench/acl_scan.h"
#include "bench/random.h"

#include <errno.h>
#include <malloc.h>
#include <maxminddb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* What is asked for, twice: as an address, and as libmaxminddb takes one. */
struct question {
	struct addr addr;
	struct sockaddr_storage socket;
};

struct bench {
	char list[256];  /* "file:PATH" */
	char table[256]; /* "cidr:PATH" */
	char database[256];
	struct entry *entries;
	size_t count;
	struct question *hits; /* each in a prefix */
	struct question *misses;
	size_t lookups; /* how many of each */
	size_t scans;   /* how many of them are scanned for */
	struct acl *acl;
	MMDB_s mmdb;
	struct scan scan;
};

/* Kept, so that no lookup can be left out. */
static volatile size_t found;

static double
seconds(clockid_t clock)
{
	struct timespec now;
	clock_gettime(clock, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void
die(const char *what)
{
	fprintf(stderr, "acl_bench: %s: %s\n", what, strerror(errno));
	exit(1);
}

/* A line of /proc/self/status, in bytes. */
static double
status_bytes(const char *key)
{
	char line[256];
	double kilobytes = -1;
	FILE *file = fopen("/proc/self/status", "r");
	if (!file)
		die("/proc/self/status");
	while (fgets(line, sizeof(line), file))
		if (strncmp(line, key, strlen(key)) == 0)
			kilobytes = strtod(line + strlen(key), NULL);
	fclose(file);
	return kilobytes * 1024;
}

/* From here on the peak of this process's memory counts anew. */
static void
reset_peak(void)
{
	FILE *file = fopen("/proc/self/clear_refs", "w");
	if (!file || fputs("5", file) == EOF || fclose(file) != 0)
		die("/proc/self/clear_refs");
}

static struct acl *
load(const char *item)
{
	struct report report;
	report_init(&report);
	struct acl *acl = acl_new("bench", "bench", 1, false);
	acl_add_item(acl, ACL_ALLOW, item, "bench", 1, &report);
	if (acl_seal(acl, &report) < 0 || report.count) {
		fprintf(stderr, "acl_bench: %s\n", report.count ? report.entries[0].text : item);
		exit(1);
	}
	report_fini(&report);
	return acl;
}

struct cost {
	double wall_ms;
	double cpu_ms;
	double steady_bytes; /* an entry of the file */
	double peak_bytes;
};

static struct cost
load_cost(const struct bench *bench, const char *item)
{
	struct cost cost;
	malloc_trim(0);
	reset_peak();
	double before = status_bytes("VmRSS:");
	double wall = seconds(CLOCK_MONOTONIC);
	double cpu = seconds(CLOCK_PROCESS_CPUTIME_ID);
	load(item); /* for good: the process ends soon */
	cost.wall_ms = (seconds(CLOCK_MONOTONIC) - wall) * 1e3;
	cost.cpu_ms = (seconds(CLOCK_PROCESS_CPUTIME_ID) - cpu) * 1e3;
	cost.steady_bytes = (status_bytes("VmRSS:") - before) / (double)bench->count;
	cost.peak_bytes = (status_bytes("VmHWM:") - before) / (double)bench->count;
	return cost;
}

static struct cost
load_in_child(const struct bench *bench, const char *item)
{
	struct cost cost;
	int ends[2];
	int status;
	if (pipe(ends) < 0)
		die("pipe");
	pid_t child = fork();
	if (child < 0)
		die("fork");
	if (child == 0) {
		cost = load_cost(bench, item);
		_exit(write(ends[1], &cost, sizeof(cost)) == sizeof(cost) ? 0 : 1);
	}
	close(ends[1]);
	ssize_t got = read(ends[0], &cost, sizeof(cost));
	close(ends[0]);
	if (waitpid(child, &status, 0) < 0 || status != 0 || got != sizeof(cost))
		die("a load failed");
	return cost;
}

enum answer {
	NO_RULE,
	ALLOW,
	DENY,
};

static enum answer
ask_acl(const struct bench *bench, const struct question *question)
{
	struct verdict verdict = acl_decide(bench->acl, &question->addr);
	if (!verdict.matched)
		return NO_RULE;
	return verdict.allowed ? ALLOW : DENY;
}

static MMDB_lookup_result_s
mmdb_find(const struct bench *bench, const struct question *question)
{
	int error;
	return MMDB_lookup_sockaddr(
		&bench->mmdb, (const struct sockaddr *)&question->socket, &error);
}

static enum answer
ask_mmdb(const struct bench *bench, const struct question *question)
{
	MMDB_lookup_result_s result = mmdb_find(bench, question);
	MMDB_entry_data_s data;
	if (!result.found_entry)
		return NO_RULE;
	if (MMDB_get_value(&result.entry, &data, "d", NULL) != MMDB_SUCCESS || !data.has_data)
		die("the database has no answer");
	return data.uint16 ? DENY : ALLOW;
}

/* Longer prefixes stand first, and deny before allow: the first one is it. */
static enum answer
ask_scan(const struct bench *bench, const struct question *question)
{
	const struct scan_entry *entry = scan_find(&bench->scan, &question->addr);
	if (!entry)
		return NO_RULE;
	return entry->deny ? DENY : ALLOW;
}

static void
check_agreement(const struct bench *bench, const struct question *questions, bool hits)
{
	for (size_t i = 0; i < bench->lookups; i++) {
		enum answer answer = ask_acl(bench, &questions[i]);
		bool alike = ask_mmdb(bench, &questions[i]) == answer &&
			     (i >= bench->scans || ask_scan(bench, &questions[i]) == answer);
		if (alike && (answer != NO_RULE) == hits)
			continue;
		char text[ADDR_TEXT_MAX];
		fprintf(stderr, "acl_bench: %s: no agreement\n",
			addr_format(&questions[i].addr, text));
		exit(1);
	}
}

static size_t
look_up_acl(const struct bench *bench, const struct question *questions)
{
	for (size_t i = 0; i < bench->lookups; i++)
		found += ask_acl(bench, &questions[i]) != NO_RULE;
	return bench->lookups;
}

/* Whether there is an entry; what it says is left unread. */
static size_t
look_up_mmdb(const struct bench *bench, const struct question *questions)
{
	for (size_t i = 0; i < bench->lookups; i++)
		found += mmdb_find(bench, &questions[i]).found_entry;
	return bench->lookups;
}

static size_t
look_up_scan(const struct bench *bench, const struct question *questions)
{
	for (size_t i = 0; i < bench->scans; i++)
		found += ask_scan(bench, &questions[i]) != NO_RULE;
	return bench->scans;
}

/* The ways to look up. Each returns how many lookups it made. */
static const struct way {
	const char *name;
	size_t (*look_up)(const struct bench *bench, const struct question *questions);
} ways[] = {
	{"smtplb", look_up_acl},
	{"libmaxminddb", look_up_mmdb},
	{"scan", look_up_scan},
};

enum {
	WAYS = sizeof(ways) / sizeof(*ways),
};

/* CPU nanoseconds a lookup. */
static double
time_way(const struct way *way, const struct bench *bench, const struct question *questions)
{
	double start = seconds(CLOCK_PROCESS_CPUTIME_ID);
	size_t lookups = way->look_up(bench, questions);
	return (seconds(CLOCK_PROCESS_CPUTIME_ID) - start) * 1e9 / (double)lookups;
}

static void
print_cost(const char *name, const struct cost *cost)
{
	printf(", \"%s\": {\"wall_ms\": %.1f, \"cpu_ms\": %.1f, \"steady_bytes\": %.2f, "
	       "\"peak_bytes\": %.2f}",
		name, cost->wall_ms, cost->cpu_ms, cost->steady_bytes, cost->peak_bytes);
}

/* The order rotates, so that what else the machine does falls on all alike. */
static void
run_round(const struct bench *bench, size_t number)
{
	struct cost list = load_in_child(bench, bench->list);
	struct cost table = load_in_child(bench, bench->table);
	printf("{\"round\": %zu", number);
	print_cost("list", &list);
	print_cost("table", &table);
	for (size_t i = 0; i < WAYS; i++) {
		const struct way *way = &ways[(number + i) % WAYS];
		double hit_ns = time_way(way, bench, bench->hits);
		double miss_ns = time_way(way, bench, bench->misses);
		printf(", \"%s\": {\"hit_ns\": %.1f, \"miss_ns\": %.1f}", way->name, hit_ns,
			miss_ns);
	}
	printf("}\n");
	fflush(stdout);
}

static void
write_files(struct bench *bench, const char *folder)
{
	snprintf(bench->list, sizeof(bench->list), "file:%s/acl.list", folder);
	snprintf(bench->table, sizeof(bench->table), "cidr:%s/acl.table", folder);
	snprintf(bench->database, sizeof(bench->database), "%s/acl.mmdb", folder);
	if (write_list(strchr(bench->list, ':') + 1, bench->entries, bench->count) < 0 ||
		write_table(strchr(bench->table, ':') + 1, bench->entries, bench->count) < 0 ||
		mmdb_write(bench->database, bench->entries, bench->count) < 0)
		die(folder);
}

static struct question
question_of(struct addr addr)
{
	struct question question = {.addr = addr};
	endpoint_to_sockaddr(&(struct endpoint){.addr = addr}, &question.socket);
	return question;
}

static void
make_questions(struct bench *bench, uint64_t *random)
{
	bench->hits = mem_new(bench->lookups, sizeof(*bench->hits));
	bench->misses = mem_new(bench->lookups, sizeof(*bench->misses));
	for (size_t i = 0; i < bench->lookups; i++) {
		const struct entry *entry = &bench->entries[random_next(random) % bench->count];
		bench->hits[i] = question_of(address_in(&entry->prefix, random));
		do
			bench->misses[i] = question_of(address_near(&entry->prefix, random));
		while (ask_acl(bench, &bench->misses[i]) != NO_RULE);
	}
}

static void
bench_fini(struct bench *bench)
{
	MMDB_close(&bench->mmdb);
	scan_fini(&bench->scan);
	acl_free(bench->acl);
	free(bench->hits);
	free(bench->misses);
	free(bench->entries);
}

int
main(int argc, char **argv)
{
	if (argc != 6) {
		fprintf(stderr, "usage: acl_bench FOLDER ENTRIES ROUNDS LOOKUPS SCANS\n");
		return 2;
	}
	mallopt(M_MMAP_THRESHOLD, 1 << 20); /* as in lb/main.c */
	uint64_t random = 0x5eed;
	struct bench bench = {
		.count = strtoul(argv[2], NULL, 10),
		.lookups = strtoul(argv[4], NULL, 10),
		.scans = strtoul(argv[5], NULL, 10),
	};
	bench.entries = entries_new(bench.count, &random);
	write_files(&bench, argv[1]);
	bench.acl = load(bench.table);
	if (MMDB_open(bench.database, MMDB_MODE_MMAP, &bench.mmdb) != MMDB_SUCCESS)
		die(bench.database);
	scan_init(&bench.scan, bench.entries, bench.count);
	make_questions(&bench, &random);
	check_agreement(&bench, bench.hits, true);
	check_agreement(&bench, bench.misses, false);
	printf("{\"entries\": %zu, \"prefixes\": %zu, \"mmdb_bytes\": %zu}\n", bench.count,
		acl_count(bench.acl), (size_t)bench.mmdb.file_size);
	for (size_t i = 0; i < strtoul(argv[3], NULL, 10); i++)
		run_round(&bench, i);
	bench_fini(&bench);
	return 0;
}

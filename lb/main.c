/*
 * The command line: finds the command and its options, and calls the room that does it.
 */
#include "acl/acl.h"
#include "acl/mmdb.h"
#include "conf/profile.h"
#include "conf/snapshot.h"
#include "lb/admin/command.h"
#include "lb/daemon.h"
#include "lb/descriptors.h"
#include "lb/explain.h"
#include "lb/notice.h"

#include <confuse.h>
#include <ev.h>
#include <getopt.h>
#include <jansson.h>
#include <limits.h>
#include <malloc.h>
#include <microhttpd.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	EXIT_USAGE = 2,
	LARGE_BYTES = 1 << 20,
};

struct options {
	const char *command;
	const char *file;
	const char *socket;   /* NULL = where the file says */
	const char *listener; /* NULL = every one */
	const char *argument;
	bool json;
};

static const char default_file[] = "/etc/smtplb/smtplb.conf";

static int
command_run(const struct options *options)
{
	return daemon_run(options->file);
}

static size_t
count_backends(const struct snapshot *snapshot)
{
	size_t count = 0;
	for (size_t i = 0; i < snapshot->pool_count; i++)
		count += snapshot->pools[i].backend_count;
	return count;
}

static size_t
count_prefixes(const struct snapshot *snapshot)
{
	size_t count = 0;
	for (size_t i = 0; i < snapshot->acl_count; i++)
		count += acl_count(snapshot->acls[i]);
	return count;
}

/* Until the first of all certificates expires; INT_MAX where there are none. */
static int
count_days_left(const struct snapshot *snapshot)
{
	int first = INT_MAX;
	for (size_t i = 0; i < snapshot->listener_count; i++) {
		const struct certificates *certificates = snapshot->listeners[i].certificates;
		if (!certificates)
			continue;
		int days = certificates_days_left(certificates_expire(certificates));
		first = days < first ? days : first;
	}
	return first;
}

static void
print_ok(const char *file, const struct snapshot *snapshot)
{
	int days = count_days_left(snapshot);
	printf("%s: ok: listeners %zu, pools %zu, backends %zu, acls %zu, prefixes %zu", file,
		snapshot->listener_count, snapshot->pool_count, count_backends(snapshot),
		snapshot->acl_count, count_prefixes(snapshot));
	if (days < INT_MAX)
		printf(", days until a certificate expires %d", days);
	printf("\n");
}

static int
command_check(const struct options *options)
{
	struct report report;
	report_init(&report);
	struct snapshot *snapshot = snapshot_load(options->file, &report);
	notice_print(&report);
	if (snapshot)
		print_ok(options->file, snapshot);
	int status = snapshot ? EXIT_SUCCESS : EXIT_FAILURE;
	snapshot_unref(snapshot);
	report_fini(&report);
	return status;
}

static int
command_explain(const struct options *options)
{
	return explain_run(options->file, options->listener, options->argument);
}

/* Those that talk to the daemon. */

/* For free(3). */
static char *
find_socket(const struct options *options)
{
	char *path =
		options->socket ? strdup(options->socket) : snapshot_admin_socket(options->file);
	if (path && *path)
		return path;
	fprintf(stderr, "smtplb: %s turns the admin socket off\n", options->file);
	free(path);
	return NULL;
}

static int
with_socket(const struct options *options, int (*call)(const char *, const struct options *))
{
	char *path = find_socket(options);
	int status = path ? call(path, options) : EXIT_FAILURE;
	free(path);
	return status;
}

static int
call_status(const char *path, const struct options *options)
{
	return command_show_status(path, options->json);
}

static int
command_status(const struct options *options)
{
	return with_socket(options, call_status);
}

static int
call_sessions(const char *path, const struct options *options)
{
	return command_show_sessions(path, options->json);
}

static int
command_sessions(const struct options *options)
{
	return with_socket(options, call_sessions);
}

static int
call_denied(const char *path, const struct options *options)
{
	return command_show_denied(path, options->json);
}

static int
command_denied(const struct options *options)
{
	return with_socket(options, call_denied);
}

static int
call_order(const char *path, const struct options *options)
{
	return command_give_order(path, options->argument, options->command);
}

static int
command_order(const struct options *options)
{
	return with_socket(options, call_order);
}

static int
call_reload(const char *path, const struct options *options)
{
	(void)options;
	return command_reload(path);
}

static int
command_load(const struct options *options)
{
	return with_socket(options, call_reload);
}

static int
command_version(const struct options *options)
{
	(void)options;
	printf("smtplb %s\nengines: libev io_uring\nlibev %d.%d\nlibconfuse %s\nlibmaxminddb %s\n"
	       "libmicrohttpd %s\njansson %s\nliburing %s\nopenssl %s\n",
		SMTPLB_VERSION, ev_version_major(), ev_version_minor(), confuse_version,
		mmdb_version(), MHD_get_version(), jansson_version_str(), LIBURING_VERSION,
		OpenSSL_version(OPENSSL_VERSION_STRING));
	return EXIT_SUCCESS;
}

/* The options by which commands differ, as getopt_long(3) gives them and as sets. */
enum {
	OPTION_LISTENER = 1 << 8,
	OPTION_SOCKET = 1 << 9,
	OPTION_JSON = 1 << 10,
};

static const struct option long_options[] = {
	{"listener", required_argument, NULL, OPTION_LISTENER},
	{"socket", required_argument, NULL, OPTION_SOCKET},
	{"json", no_argument, NULL, OPTION_JSON},
	{0},
};

static const struct command {
	const char *name;
	const char *arguments; /* for the usage */
	const char *purpose;
	int (*run)(const struct options *options);
	const char *takes; /* its argument, for the message that it is missing; NULL for none */
	int own_options;
} commands[] = {
	{"run", "", "the load balancer, in the foreground", command_run, NULL, 0},
	{"check", "", "say what is wrong with the configuration, if anything", command_check, NULL,
		0},
	{"explain", "[--listener NAME] IP", "say what would happen to a client at IP",
		command_explain, "an IP address", OPTION_LISTENER},
	{"status", "[--json]", "pools, backends, listeners and sessions of the daemon",
		command_status, NULL, OPTION_SOCKET | OPTION_JSON},
	{"sessions", "[--json]", "its live sessions", command_sessions, NULL,
		OPTION_SOCKET | OPTION_JSON},
	{"denied", "[--json]", "who was turned away, and what would let each in", command_denied,
		NULL, OPTION_SOCKET | OPTION_JSON},
	{"drain", "POOL/BACKEND", "send no new sessions there", command_order, "POOL/BACKEND",
		OPTION_SOCKET},
	{"maint", "POOL/BACKEND", "the same, and no probes", command_order, "POOL/BACKEND",
		OPTION_SOCKET},
	{"ready", "POOL/BACKEND", "take it back into service", command_order, "POOL/BACKEND",
		OPTION_SOCKET},
	{"reload", "", "load the configuration anew, and say what came of it", command_load, NULL,
		OPTION_SOCKET},
	{"version", "", "of this program and its libraries", command_version, NULL, 0},
};

enum {
	COMMANDS = sizeof(commands) / sizeof(*commands),
};

static void
print_usage(FILE *to)
{
	fprintf(to, "usage: smtplb COMMAND [-c FILE] ...\n\n");
	for (size_t i = 0; i < COMMANDS; i++)
		fprintf(to, "  %-8s %-20s  %s\n", commands[i].name, commands[i].arguments,
			commands[i].purpose);
	fprintf(to,
		"\n  -c FILE        the configuration (%s)\n"
		"  --socket PATH  of the daemon, for those that talk to it (as the file says)\n",
		default_file);
}

static int
fail_usage(void)
{
	print_usage(stderr);
	return EXIT_USAGE;
}

static const struct command *
find_command(const char *name)
{
	for (size_t i = 0; i < COMMANDS; i++) {
		if (strcmp(commands[i].name, name) == 0)
			return &commands[i];
	}
	return NULL;
}

/* Returns 0, or -1 when it is none of the command's. */
static int
take_option(const struct command *command, int option, struct options *options)
{
	if (option == 'c') {
		options->file = optarg;
		return 0;
	}
	if (option == '?')
		return -1;
	if (!(option & command->own_options)) {
		fprintf(stderr, "smtplb: %s has no such option\n", command->name);
		return -1;
	}
	if (option == OPTION_LISTENER)
		options->listener = optarg;
	else if (option == OPTION_SOCKET)
		options->socket = optarg;
	else
		options->json = true;
	return 0;
}

/* Takes the command's name for the program's, as getopt_long wants it. */
static int
parse_options(const struct command *command, int argc, char *const *argv, struct options *options)
{
	int option;
	while ((option = getopt_long(argc, argv, "c:", long_options, NULL)) >= 0) {
		if (take_option(command, option, options) < 0)
			return -1;
	}
	if (command->takes && optind < argc)
		options->argument = argv[optind++];
	if (optind < argc)
		fprintf(stderr, "smtplb: unexpected argument: %s\n", argv[optind]);
	else if (command->takes && !options->argument)
		fprintf(stderr, "smtplb: %s needs %s\n", command->name, command->takes);
	else
		return 0;
	return -1;
}

int
main(int argc, char **argv)
{
	const char *name = argc > 1 ? argv[1] : "";
	struct options options = {.command = name, .file = default_file};
	descriptors_open_standard();
	profile_init();
	/* Lists and tables of millions of entries, once freed, go back to the system. */
	mallopt(M_MMAP_THRESHOLD, LARGE_BYTES);
	if (strcmp(name, "--help") == 0 || strcmp(name, "help") == 0) {
		print_usage(stdout);
		return EXIT_SUCCESS;
	}
	const struct command *command = find_command(name);
	if (!command) {
		if (name[0])
			fprintf(stderr, "smtplb: unknown command: %s\n", name);
		return fail_usage();
	}
	if (parse_options(command, argc - 1, argv + 1, &options) < 0)
		return fail_usage();
	return command->run(&options);
}

/*
 * The command line: finds the command and its options, and calls the room that does it.
 */
#include "acl/acl.h"
#include "acl/mmdb.h"
#include "conf/snapshot.h"
#include "lb/daemon.h"
#include "lb/descriptors.h"
#include "lb/notice.h"

#include <confuse.h>
#include <ev.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	EXIT_USAGE = 2,
};

struct options {
	const char *file;
};

static const char default_file[] = "/etc/smtplb/smtplb.conf";

static const char usage[] = "usage: smtplb COMMAND [-c FILE]\n"
			    "\n"
			    "  run      the load balancer, in the foreground\n"
			    "  check    say what is wrong with the configuration, if anything\n"
			    "  version  of this program and its libraries\n"
			    "\n"
			    "  -c FILE  the configuration (/etc/smtplb/smtplb.conf)\n";

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

static int
command_check(const struct options *options)
{
	struct report report;
	report_init(&report);
	struct snapshot *snapshot = snapshot_load(options->file, &report);
	notice_print(&report);
	if (snapshot)
		printf("%s: ok: listeners %zu, pools %zu, backends %zu, acls %zu, prefixes %zu\n",
			options->file, snapshot->listener_count, snapshot->pool_count,
			count_backends(snapshot), snapshot->acl_count, count_prefixes(snapshot));
	int status = snapshot ? EXIT_SUCCESS : EXIT_FAILURE;
	snapshot_unref(snapshot);
	report_fini(&report);
	return status;
}

static int
command_version(const struct options *options)
{
	(void)options;
	printf("smtplb %s\nengines: libev\nlibev %d.%d\nlibconfuse %s\nlibmaxminddb %s\n",
		SMTPLB_VERSION, ev_version_major(), ev_version_minor(), confuse_version,
		mmdb_version());
	return EXIT_SUCCESS;
}

static const struct command {
	const char *name;
	int (*run)(const struct options *options);
} commands[] = {
	{"run", command_run},
	{"check", command_check},
	{"version", command_version},
};

static int
fail_usage(void)
{
	fputs(usage, stderr);
	return EXIT_USAGE;
}

int
main(int argc, char **argv)
{
	struct options options = {.file = default_file};
	const char *name = argc > 1 ? argv[1] : "";
	const struct command *command = NULL;
	descriptors_open_standard();
	for (size_t i = 0; i < sizeof(commands) / sizeof(*commands); i++) {
		if (strcmp(commands[i].name, name) == 0)
			command = &commands[i];
	}
	if (strcmp(name, "--help") == 0 || strcmp(name, "help") == 0) {
		fputs(usage, stdout);
		return EXIT_SUCCESS;
	}
	if (!command) {
		if (name[0])
			fprintf(stderr, "smtplb: unknown command: %s\n", name);
		return fail_usage();
	}
	int option;
	while ((option = getopt(argc - 1, argv + 1, "c:")) >= 0) {
		if (option != 'c')
			return fail_usage();
		options.file = optarg;
	}
	if (optind < argc - 1) {
		fprintf(stderr, "smtplb: unexpected argument: %s\n", argv[optind + 1]);
		return fail_usage();
	}
	return command->run(&options);
}

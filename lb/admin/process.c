/*
 * See process.h.
 */
#include "lb/admin/process.h"

#include "lb/descriptors.h"
#include "lb/wall.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

struct process {
	int statm_fd; /* -1: no such file */
	DIR *fds;     /* NULL: no such folder */
	double start_s;
};

struct process *
process_new(const char *proc)
{
	char path[PATH_MAX];
	struct process *process = calloc(1, sizeof(*process));
	if (!process)
		return NULL;
	snprintf(path, sizeof(path), "%s/statm", proc);
	process->statm_fd = open(path, O_RDONLY | O_CLOEXEC);
	snprintf(path, sizeof(path), "%s/fd", proc);
	process->fds = opendir(path);
	process->start_s = (double)wall_ms() / 1000;
	return process;
}

void
process_free(struct process *process)
{
	if (!process)
		return;
	if (process->statm_fd >= 0)
		close(process->statm_fd);
	if (process->fds)
		closedir(process->fds);
	free(process);
}

static double
seconds(struct timeval time)
{
	return (double)time.tv_sec + (double)time.tv_usec / 1e6;
}

/* proc(5): its first figures are all and resident memory, in pages. */
static void
read_memory(int fd, struct process_figures *figures)
{
	char text[256];
	ssize_t len = fd >= 0 ? pread(fd, text, sizeof(text) - 1, 0) : -1;
	if (len <= 0)
		return;
	text[len] = '\0';
	char *rest;
	double page = (double)sysconf(_SC_PAGESIZE);
	figures->virtual_bytes = (double)strtoull(text, &rest, 10) * page;
	figures->resident_bytes = (double)strtoull(rest, NULL, 10) * page;
}

static double
count_entries(DIR *folder)
{
	if (!folder)
		return NAN;
	unsigned count = 0;
	const struct dirent *entry;
	rewinddir(folder);
	while ((entry = readdir(folder)))
		count += entry->d_name[0] != '.';
	return count;
}

void
process_look(const struct process *process, struct process_figures *figures)
{
	struct rusage usage;
	getrusage(RUSAGE_SELF, &usage);
	*figures = (struct process_figures){
		.cpu_s = seconds(usage.ru_utime) + seconds(usage.ru_stime),
		.resident_bytes = NAN,
		.virtual_bytes = NAN,
		.open_fds = count_entries(process->fds),
		.max_fds = (double)descriptors_limit(),
		.start_s = process->start_s,
	};
	read_memory(process->statm_fd, figures);
}

/*
 * Loads a database: a child reads the file, this side takes the table from it. See geo.h; runs in
 * whichever thread loads.
 */
#include "acl/geo.h"
#include "acl/mem.h"
#include "acl/mmdb.h"
#include "acl/trial.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
	NODE_BYTES_MIN = 6, /* that a node takes in the file */
	CPU_S = 30,
	WALL_S = 60,
};

/* Far more than the largest database there is; offsets in one are 32 bits wide. */
static const off_t file_size_max = (off_t)2 << 30;

/* Beyond the file, which is mapped: for a byte of it four bytes of table, and something besides. */
static const uint64_t memory_base = 256 << 20;

struct job {
	enum geo_kind kind;
	const char *path;
	uint64_t size;
};

static int
check_file(const char *path, struct sources *sources, struct job *job, char why[GEO_WHY_MAX])
{
	struct stat st;
	/* O_NONBLOCK: a FIFO would hold up the loader until somebody writes to it. */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	bool opened = fd >= 0 && fstat(fd, &st) == 0;
	int error = errno;
	if (sources)
		sources_add(sources, path, opened ? &st : NULL);
	if (fd >= 0)
		close(fd);
	if (!opened)
		snprintf(why, GEO_WHY_MAX, "can't be read: %s", strerror(error));
	else if (!S_ISREG(st.st_mode))
		snprintf(why, GEO_WHY_MAX, "is no regular file");
	else if (st.st_size == 0 || st.st_size > file_size_max)
		snprintf(why, GEO_WHY_MAX, "%s", st.st_size ? "is larger than 2 GB" : "is empty");
	else {
		job->size = (uint64_t)st.st_size;
		return 0;
	}
	return -1;
}

static int
read_database(void *context, int out, char why[TRIAL_WHY_MAX])
{
	const struct job *job = context;
	return mmdb_write(job->kind, job->path, out, why);
}

static bool
is_link(const struct mmdb_header *header, uint32_t link)
{
	return link & GEO_LEAF ? (link & ~GEO_LEAF) < header->value_count
			       : link < header->node_count;
}

/* A child that went wild is believed nothing. */
static bool
is_sound(const struct geo *geo, const struct mmdb_header *header)
{
	bool sound = is_link(header, header->roots[0]) && is_link(header, header->roots[1]);
	for (size_t i = 0; i < geo->node_count; i++)
		sound &= is_link(header, geo->nodes[i].link[0]) &&
			 is_link(header, geo->nodes[i].link[1]);
	return sound && geo->values[0] == GEO_NONE;
}

static struct geo *
take_table(struct trial *trial, const struct job *job)
{
	struct mmdb_header header;
	if (trial_read(trial, &header, sizeof(header)) < 0)
		return NULL;
	if (header.node_count > job->size / NODE_BYTES_MIN || header.value_count > job->size ||
		header.value_count == 0)
		return NULL;
	struct geo *geo = mem_new(1, sizeof(*geo));
	*geo = (struct geo){
		.kind = job->kind,
		.path = mem_text(job->path),
		.roots = {header.roots[0], header.roots[1]},
		.nodes = mem_resize(NULL, header.node_count, sizeof(*geo->nodes)),
		.node_count = header.node_count,
		.values = mem_resize(NULL, header.value_count, sizeof(*geo->values)),
		.value_count = header.value_count,
	};
	if (trial_read(trial, geo->nodes, geo->node_count * sizeof(*geo->nodes)) == 0 &&
		trial_read(trial, geo->values, geo->value_count * sizeof(*geo->values)) == 0 &&
		is_sound(geo, &header))
		return geo;
	geo_free(geo);
	return NULL;
}

struct geo *
geo_load(enum geo_kind kind, const char *path, struct sources *sources, char why[GEO_WHY_MAX])
{
	struct job job = {.kind = kind, .path = path};
	struct trial trial;
	if (check_file(path, sources, &job, why) < 0)
		return NULL;
	struct trial_limits limits = {
		.cpu_s = CPU_S,
		.wall_s = WALL_S,
		.memory = memory_base + 5 * job.size,
	};
	if (trial_start(&trial, &limits, read_database, &job, why) < 0)
		return NULL;
	struct geo *geo = take_table(&trial, &job);
	snprintf(why, GEO_WHY_MAX, "makes its reader go wrong; get it anew");
	if (trial_end(&trial, why) == 0)
		return geo;
	geo_free(geo);
	return NULL;
}

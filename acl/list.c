/*
 * List files and their includes. Runs in whichever thread loads; a file's text lives as long as it
 * is being parsed, the record of files read as long as the call.
 */
#include "acl/list.h"

#include "acl/cidr.h"
#include "acl/mem.h"
#include "acl/mynetworks.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* A file that was met on the way. The open ones, in this order, are a chain of includes. */
struct list_file {
	char *path;
	dev_t device;
	ino_t inode;
	enum list_format format;
	enum acl_action action;
	bool open;
};

struct list {
	struct list_file *files;
	size_t count;
	size_t capacity;
	unsigned depth;
	const char *current; /* the file being parsed */
	const struct list_handler *handler;
	bool allows; /* such a rule has come */
	bool denies;
	bool dunnos;
	struct sources *sources; /* may be NULL */
	struct report *report;
};

/* Opens a regular file. Returns the descriptor, or -1 with *why. */
static int
open_regular(const char *path, struct stat *st, const char **why)
{
	/* O_NONBLOCK: a FIFO would hold up the loader until somebody writes to it. */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0 || fstat(fd, st) < 0)
		*why = strerror(errno);
	else if (S_ISDIR(st->st_mode))
		*why = "is a directory; name a file";
	else if (!S_ISREG(st->st_mode))
		*why = "is not a regular file";
	else if (st->st_size > LIST_BYTES_MAX)
		*why = "is larger than 256 MB; is it a list at all?";
	else
		return fd;
	if (fd >= 0)
		close(fd);
	return -1;
}

/* Reads all there is, and leaves a byte of room behind it. Returns it, or NULL with *why. */
static char *
read_text(int fd, size_t size_hint, size_t *len, const char **why)
{
	size_t capacity = size_hint + 2;
	char *text = mem_try_resize(NULL, capacity, 1);
	ssize_t n;
	*len = 0;
	*why = strerror(ENOMEM);
	if (!text)
		return NULL;
	while ((n = read(fd, text + *len, capacity - 1 - *len)) > 0) {
		*len += (size_t)n;
		if (*len > LIST_BYTES_MAX)
			break;
		if (*len < capacity - 1)
			continue;
		char *grown = mem_try_grow(text, &capacity, 1);
		if (!grown) {
			free(text);
			return NULL;
		}
		text = grown;
	}
	if (n == 0)
		return text;
	*why = n < 0 ? strerror(errno) : "grows past 256 MB while being read";
	free(text);
	return NULL;
}

static void list_read(struct list *list, enum list_format format, const char *path,
	enum acl_action action, const char *file, unsigned line);

static void
on_prefix(void *context, enum acl_action action, const struct prefix *prefix, unsigned line)
{
	struct list *list = context;
	struct acl_rule rule = {
		.action = action, .prefix = *prefix, .file = list->current, .line = line};
	*(action == ACL_ALLOW ? &list->allows : &list->denies) = true;
	list->handler->rule(list->handler->context, &rule);
}

/* To a list of Postfix's, whatever its table says is a match: there a DUNNO ends no search. */
static void
on_dunno(void *context, const struct prefix *prefix, unsigned line)
{
	struct list *list = context;
	if (list->depth > 1)
		return;
	list->dunnos = true;
	list->handler->dunno(list->handler->context, prefix, list->current, line);
}

static void
include(struct list *list, enum list_format format, enum acl_action action, const char *path,
	unsigned line)
{
	const char *includer = list->current;
	list_read(list, format, path, action, includer, line);
	list->current = includer;
}

static void
on_include(void *context, enum acl_action action, const char *path, unsigned line)
{
	include(context, LIST_MYNETWORKS, action, path, line);
}

static void
on_table(void *context, enum acl_action action, const char *path, unsigned line)
{
	include(context, LIST_CIDR, action, path, line);
}

static void
refuse_loop(struct list *list, const struct list_file *again, const char *file, unsigned line)
{
	char chain[1024] = "";
	size_t len = 0;
	for (const struct list_file *f = again; f < list->files + list->count; f++)
		if (f->open && len < sizeof(chain))
			len += (size_t)snprintf(
				chain + len, sizeof(chain) - len, "%s includes ", f->path);
	report_error(list->report, file, line,
		"an include loop: %s%s; take out one of these includes", chain, again->path);
}

/* True when the file needs no reading: it was read before, or is being read, which is an error. */
static bool
was_met(struct list *list, enum list_format format, const struct stat *st, enum acl_action action,
	const char *file, unsigned line)
{
	for (size_t i = 0; i < list->count; i++) {
		const struct list_file *met = &list->files[i];
		if (met->device != st->st_dev || met->inode != st->st_ino)
			continue;
		if (met->open)
			refuse_loop(list, met, file, line);
		if (met->open || (met->format == format && met->action == action))
			return true;
	}
	return false;
}

static void
parse_text(struct list *list, const struct list_file *file, char *text, size_t len)
{
	const struct mynetworks_handler entries = {
		.prefix = on_prefix, .include = on_include, .table = on_table, .context = list};
	const struct cidr_handler lines = {.rule = on_prefix, .dunno = on_dunno, .context = list};
	switch (file->format) {
	case LIST_MYNETWORKS:
		mynetworks_parse(text, len, file->path, file->action, &entries, list->report);
		break;
	case LIST_CIDR:
		cidr_parse(text, len, file->path, file->action, &lines, list->report);
		break;
	}
}

static void
parse_file(struct list *list, const struct list_file *opened, char *text, size_t len)
{
	size_t index = list->count;
	if (index == list->capacity)
		list->files = mem_grow(list->files, &list->capacity, sizeof(*list->files));
	list->files[list->count++] = *opened;
	list->current = opened->path;
	list->depth++;
	parse_text(list, opened, text, len);
	list->depth--;
	list->files[index].open = false;
}

static void
list_read(struct list *list, enum list_format format, const char *path, enum acl_action action,
	const char *file, unsigned line)
{
	const char *why = "includes are nested too deep; include it from further up";
	struct stat st;
	size_t len;
	if (list->depth == LIST_DEPTH_MAX)
		goto fail;
	int fd = open_regular(path, &st, &why);
	if (list->sources)
		sources_add(list->sources, path, fd < 0 ? NULL : &st);
	if (fd < 0)
		goto fail;
	if (was_met(list, format, &st, action, file, line)) {
		close(fd);
		return;
	}
	char *text = read_text(fd, (size_t)st.st_size, &len, &why);
	close(fd);
	if (!text)
		goto fail;
	struct list_file opened = {.path = mem_text(path),
		.device = st.st_dev,
		.inode = st.st_ino,
		.format = format,
		.action = action,
		.open = true};
	parse_file(list, &opened, text, len);
	free(text);
	return;
fail:
	report_error(list->report, file, line, "can't read the %s %.1000s: %s",
		format == LIST_CIDR ? "table" : "list", path, why);
}

bool
list_load(enum list_format format, const char *path, enum acl_action action, const char *file,
	unsigned line, const struct list_handler *handler, struct sources *sources,
	struct report *report)
{
	struct list list = {.handler = handler, .sources = sources, .report = report};
	list_read(&list, format, path, action, file, line);
	for (size_t i = 0; i < list.count; i++)
		free(list.files[i].path);
	free(list.files);
	return (list.allows && list.denies) || list.dunnos;
}

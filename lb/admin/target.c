/*
 * See target.h.
 */
#include "lb/admin/target.h"

#include <string.h>

static int
take_name(char name[NAME_LEN_MAX + 1], const char *text, size_t len)
{
	static const char plain[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.";
	if (len == 0 || len > NAME_LEN_MAX || strspn(text, plain) < len)
		return -1;
	memcpy(name, text, len);
	name[len] = '\0';
	return 0;
}

int
target_parse(struct target *target, const char *text)
{
	const char *slash = strchr(text, '/');
	if (!slash || take_name(target->pool, text, (size_t)(slash - text)) < 0)
		return -1;
	return take_name(target->backend, slash + 1, strlen(slash + 1));
}

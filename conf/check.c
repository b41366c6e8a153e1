/*
 * The whole: acls, the order of the parts, and what listeners say together; see check.h.
 */
#include "conf/check.h"
#include "acl/mem.h"
#include "conf/grammar.h"

#include <stdlib.h>

bool
check_path(const struct load *load, const struct value *value)
{
	if (!*value->text || *value->text == '/')
		return true;
	value_error(load, value, "is no absolute path; begin it with /, or use \"\" for none");
	return false;
}

bool
check_is_plain(const char *text, size_t max)
{
	const unsigned char *bytes = (const unsigned char *)text;
	size_t len = 0;
	while (bytes[len] > ' ' && bytes[len] <= '~')
		len++;
	return !bytes[len] && len <= max;
}

static struct acl *
check_acl(const struct load *load, cfg_t *section, struct sources *sources)
{
	char *name = value_name(load, section);
	struct value open = value_get(section, "open");
	struct acl *acl =
		acl_new(name, load->file, grammar_section_line(section), value_yes(load, &open));
	free(name);
	acl_record(acl, sources);
	static const struct {
		const char *key;
		enum acl_action action;
	} lists[] = {{"allow", ACL_ALLOW}, {"deny", ACL_DENY}};
	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
		size_t count = value_count(section, lists[i].key);
		for (size_t k = 0; k < count; k++) {
			struct value value = value_at(section, lists[i].key, k);
			acl_add_item(acl, lists[i].action, value.text, load->file, value.line,
				load->report);
		}
	}
	return acl;
}

static void
check_acls(const struct load *load, cfg_t *top, struct snapshot *snapshot)
{
	size_t count = cfg_size(top, "acl");
	snapshot->acls = mem_new(count, sizeof(struct acl *));
	for (; snapshot->acl_count < count; snapshot->acl_count++) {
		struct acl *acl = check_acl(load,
			cfg_getnsec(top, "acl", (unsigned)snapshot->acl_count), &snapshot->sources);
		snapshot->acls[snapshot->acl_count] = acl;
	}
}

static void
seal_acls(const struct load *load, struct snapshot *snapshot)
{
	for (size_t i = 0; i < snapshot->acl_count && load->whole; i++)
		acl_seal(snapshot->acls[i], load->report);
}

static void
check_pools(const struct load *load, cfg_t *top, struct snapshot *snapshot)
{
	size_t count = cfg_size(top, "pool");
	snapshot->pools = mem_new(count, sizeof(*snapshot->pools));
	for (; snapshot->pool_count < count; snapshot->pool_count++) {
		size_t i = snapshot->pool_count;
		check_pool(load, cfg_getnsec(top, "pool", (unsigned)i), &snapshot->pools[i]);
	}
}

/* The first bind before this one, over all listeners, beside which it can't be. */
static const struct bind_conf *
find_overlap(const struct snapshot *snapshot, const struct bind_conf *bind)
{
	for (size_t i = 0;; i++) {
		const struct listener_conf *listener = &snapshot->listeners[i];
		for (size_t k = 0; k < listener->bind_count; k++) {
			const struct bind_conf *other = &listener->binds[k];
			if (other == bind)
				return NULL;
			if (endpoint_overlaps(&other->endpoint, &bind->endpoint))
				return other;
		}
	}
}

static void
check_overlaps(const struct load *load, const struct snapshot *snapshot,
	const struct listener_conf *listener)
{
	for (size_t k = 0; k < listener->bind_count; k++) {
		const struct bind_conf *bind = &listener->binds[k];
		char text[ENDPOINT_TEXT_MAX], other_text[ENDPOINT_TEXT_MAX];
		if (bind->endpoint.addr.family == ADDR_NONE)
			continue;
		const struct bind_conf *other = find_overlap(snapshot, bind);
		if (!other)
			continue;
		endpoint_format(&bind->endpoint, text);
		if (endpoint_equal(&other->endpoint, &bind->endpoint))
			report_error(load->report, load->file, bind->line,
				"%s is bound twice, first in line %u; remove one of them", text,
				other->line);
		else
			report_error(load->report, load->file, bind->line,
				"%s can't be bound beside %s of line %u, because one is part of "
				"the other; remove one of them",
				text, endpoint_format(&other->endpoint, other_text), other->line);
	}
}

static void
check_listeners(const struct load *load, cfg_t *top, struct snapshot *snapshot)
{
	size_t count = cfg_size(top, "listener");
	if (!count && load->whole)
		report_error(load->report, load->file, 0,
			"there is no listener; add one, as in listener smtp { bind = 0.0.0.0:25  "
			"acl "
			"= senders  pool = relays }");
	snapshot->listeners = mem_new(count, sizeof(*snapshot->listeners));
	for (; snapshot->listener_count < count; snapshot->listener_count++) {
		size_t i = snapshot->listener_count;
		check_listener(load, cfg_getnsec(top, "listener", (unsigned)i), snapshot,
			&snapshot->listeners[i]);
	}
	for (size_t i = 0; i < count; i++)
		check_overlaps(load, snapshot, &snapshot->listeners[i]);
}

void
check_all(const struct load *load, cfg_t *top, struct snapshot *snapshot)
{
	check_top(load, top, snapshot);
	check_acls(load, top, snapshot);
	check_geoip(load, top, snapshot);
	seal_acls(load, snapshot);
	check_pools(load, top, snapshot);
	check_listeners(load, top, snapshot);
}

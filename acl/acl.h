/*
 * The rule set of one `acl` block and its verdict about a source address.
 *
 * Built by one thread (add rules, then acl_seal), immutable from then on: any number of threads may
 * ask for verdicts without a lock.
 *
 * The most specific rule decides: the longest prefix that contains the address; on a tie, deny.
 * Without a matching rule the answer is deny, or allow where the block says `open = yes`.
 */
#ifndef ACL_ACL_H
#define ACL_ACL_H

#include "acl/addr.h"
#include "acl/report.h"
#include "acl/sources.h"

#include <stdbool.h>
#include <stdint.h>

struct acl;

enum acl_action {
	ACL_DENY,
	ACL_ALLOW,
};

/* The rule that decided, copied out; valid as long as the acl. */
struct acl_rule {
	enum acl_action action;
	struct prefix prefix;
	const char *file; /* where the rule stands */
	unsigned line;    /* counted from 1 */
};

struct verdict {
	bool allowed;
	bool matched;         /* false: no rule matched, the default decided */
	struct acl_rule rule; /* when matched */
};

/* file and line: where the block stands, for the errors about the whole of it. open: default
 * allow. Aborts on no memory, as everything at load time does. */
struct acl *acl_new(const char *name, const char *file, unsigned line, bool open);
void acl_free(struct acl *acl);

const char *acl_name(const struct acl *acl);

/* Notes in sources, until the seal, each file that is read for it. */
void acl_record(struct acl *acl, struct sources *sources);

void acl_add(struct acl *acl, const struct acl_rule *rule);

/* Adds one item of an `allow` or `deny` list as it stands in the configuration at file:line: a
 * prefix, or `file:PATH` or `cidr:PATH`, whose entries are added with their own file and line (a
 * relative PATH is taken from the working directory). Problems go to the report; nothing of a bad
 * list is added. */
void acl_add_item(struct acl *acl, enum acl_action action, const char *item, const char *file,
	unsigned line, struct report *report);

/* Sorts and closes the set. An error in the report when there is no allow rule, or when the allow
 * rules together let every IPv4 or every IPv6 address in, halves and files included (minus nothing:
 * a deny does not make such an allow safe), unless open. Returns 0, or -1 when there was such an
 * error or an item was refused before: the set is not to be used then. */
int acl_seal(struct acl *acl, struct report *report);

/* How many different prefixes it holds, after acl_seal. */
size_t acl_count(const struct acl *acl);

struct verdict acl_decide(const struct acl *acl, const struct addr *source);

/* "FILE:LINE allow 203.0.113.0/24", or "default". Returns buf; cut to size. */
const char *verdict_format(const struct verdict *verdict, char *buf, size_t size);

#endif

/*
 * The rule set of one `acl` block and its verdict about a source address.
 *
 * Built by one thread (add rules, then acl_seal), immutable from then on: any number of threads may
 * ask for verdicts without a lock.
 *
 * The most specific rule decides: the longest prefix that contains the address; where there is
 * none, the rule for the number of its network, then the one for its country; on a tie, deny.
 * Without a matching rule the answer is deny, or allow where the block says `open = yes`.
 */
#ifndef ACL_ACL_H
#define ACL_ACL_H

#include "acl/addr.h"
#include "acl/geo.h"
#include "acl/report.h"
#include "acl/sources.h"

#include <stdbool.h>
#include <stdint.h>

struct acl;

enum acl_action {
	ACL_DENY,
	ACL_ALLOW,
};

/* In the order in which they decide. */
enum rule_kind {
	RULE_PREFIX,
	RULE_ASN,
	RULE_COUNTRY,
};

/* The rule that decided, copied out; valid as long as the acl. */
struct acl_rule {
	enum acl_action action;
	enum rule_kind kind;
	struct prefix prefix; /* of a RULE_PREFIX */
	uint32_t value;       /* of the others, as geo.h has it */
	const char *file;     /* where the rule stands */
	unsigned line;        /* counted from 1 */
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

/* Where one more allow rule is to be written: in the file that it returns, on the line on which the
 * first item of the allow list stands, or the block itself where there is no such list. */
const char *acl_allow_place(const struct acl *acl, unsigned *line);

/* Notes in sources, until the seal, each file that is read for it. */
void acl_record(struct acl *acl, struct sources *sources);

void acl_add(struct acl *acl, const struct acl_rule *rule);

/* Adds one item of an `allow` or `deny` list as it stands in the configuration at file:line: a
 * prefix, `country:CODE`, `asn:NUMBER`, or `file:PATH` or `cidr:PATH`, whose entries are added with
 * their own file and line (a relative PATH is taken from the working directory). Problems go to the
 * report; nothing of a bad list is added. */
void acl_add_item(struct acl *acl, enum acl_action action, const char *item, const char *file,
	unsigned line, struct report *report);

/* Before the seal: the first rule by country or network number, where there is one: it needs a
 * database. */
bool acl_needs_geo(const struct acl *acl, enum geo_kind kind, struct acl_rule *rule);

/* Before the seal: what rules of the database's kind go by. It is not owned, and has to outlive the
 * acl. Without it such rules hold for nobody. */
void acl_use_geo(struct acl *acl, const struct geo *geo);

/* Sorts and closes the set. An error in the report when there is no allow rule, or when the allow
 * rules together let every IPv4 or every IPv6 address in, halves and files included (minus nothing:
 * a deny does not make such an allow safe), unless open. Warnings about rules by country or network
 * number that can't do what they seem to; see geo_doubts.h. Returns 0, or -1 when there was such an
 * error or an item was refused before: the set is not to be used then. */
int acl_seal(struct acl *acl, struct report *report);

/* How many different prefixes it holds, after acl_seal. */
size_t acl_count(const struct acl *acl);

struct verdict acl_decide(const struct acl *acl, const struct addr *source);

/* The same as if there were no rules for prefixes of len bits or more. */
struct verdict acl_decide_shorter(const struct acl *acl, const struct addr *source, unsigned len);

/* A rule as it stands in a list: "203.0.113.0/24", "asn:64500" or "country:JP". Returns buf. */
enum {
	RULE_TEXT_MAX = PREFIX_TEXT_MAX,
};
const char *acl_rule_format(const struct acl_rule *rule, char buf[RULE_TEXT_MAX]);

/* "FILE:LINE allow 203.0.113.0/24", or "default". Returns buf; cut to size. */
const char *verdict_format(const struct verdict *verdict, char *buf, size_t size);

#endif

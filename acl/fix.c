/*
 * The way into an acl; see fix.h.
 */
#include "acl/fix.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* The text that grows in a buffer of the caller's. */
struct text {
	char *buf;
	size_t size;
};

static void __attribute__((format(printf, 2, 3))) append(struct text *text, const char *format, ...)
{
	size_t len = strlen(text->buf);
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(text->buf + len, text->size - len, format, arguments);
	va_end(arguments);
}

/* Whether the verdict denies by a rule that is at least as specific as one for a network of so many
 * bits: on a tie, deny wins. */
static bool
outdoes(const struct verdict *verdict, unsigned len)
{
	return verdict->matched && !verdict->allowed && verdict->rule.kind == RULE_PREFIX &&
	       verdict->rule.prefix.len >= len;
}

bool
fix_format(const struct acl *acl, const struct addr *source, char *buf, size_t size)
{
	struct text text = {.buf = buf, .size = size};
	struct prefix network = addr_network(source);
	char rule[RULE_TEXT_MAX];
	struct verdict verdict = acl_decide(acl, source);
	*buf = '\0';
	if (verdict.allowed || source->family == ADDR_NONE)
		return false;
	while (outdoes(&verdict, network.len)) {
		append(&text, "%s%s:%u remove deny %s", *buf ? "; " : "", verdict.rule.file,
			verdict.rule.line, acl_rule_format(&verdict.rule, rule));
		verdict = acl_decide_shorter(acl, source, verdict.rule.prefix.len);
	}
	if (!verdict.allowed) {
		unsigned line;
		const char *file = acl_allow_place(acl, &line);
		append(&text, "%s%s:%u add %s to allow", *buf ? "; " : "", file, line,
			addr_network_format(source, rule));
	}
	return true;
}

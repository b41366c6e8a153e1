/*
 * TLS for a listener's clients: the mode, and the pairs of certificate and key; see check.h.
 */
#include "acl/mem.h"
#include "conf/check.h"

enum {
	WARN_DAYS = 14,
};

const char *const tls_mode_names[] = {
	[TLS_OFF] = "off",
	[TLS_STARTTLS] = "starttls",
	[TLS_STARTTLS_REQUIRED] = "starttls_required",
	[TLS_IMPLICIT] = "implicit",
};

static void
warn_soon(const struct load *load, const struct value *value, int days)
{
	if (days < WARN_DAYS)
		report_warning(load->report, load->file, value->line,
			"`certificate = %s` expires in %d days; get a new one", value->text, days);
}

static void
read_pairs(const struct load *load, cfg_t *section, struct listener_conf *listener)
{
	size_t count = value_count(section, "certificate");
	struct value last = value_at(section, "certificate", count - 1);
	if (value_count(section, "key") != count) {
		value_error(load, &last,
			"is one of %zu, but there are %zu in `key`; give one key for each "
			"certificate, in the same order",
			count, value_count(section, "key"));
		return;
	}
	listener->certificates = certificates_new();
	for (size_t i = 0; i < count; i++) {
		struct value certificate = value_at(section, "certificate", i);
		struct value key = value_at(section, "key", i);
		char why[CERTIFICATES_WHY_MAX];
		time_t expires;
		bool is_key;
		if (!check_path(load, &certificate) || !check_path(load, &key))
			continue;
		if (certificates_add(listener->certificates, certificate.text, key.text, &expires,
			    why, &is_key) < 0)
			value_error(load, is_key ? &key : &certificate, "can't be used: %s", why);
		else
			warn_soon(load, &certificate, certificates_days_left(expires));
	}
}

void
check_tls(const struct load *load, cfg_t *section, struct listener_conf *listener)
{
	const struct choice modes[] = {
		{.name = tls_mode_names[TLS_OFF], .value = TLS_OFF},
		{.name = tls_mode_names[TLS_STARTTLS], .value = TLS_STARTTLS},
		{.name = tls_mode_names[TLS_STARTTLS_REQUIRED], .value = TLS_STARTTLS_REQUIRED},
		{.name = tls_mode_names[TLS_IMPLICIT], .value = TLS_IMPLICIT},
		{.name = NULL},
	};
	struct value tls = value_get(section, "tls");
	listener->tls = (enum tls_mode)value_choice(load, &tls, modes);
	if (listener->tls == TLS_OFF)
		return;
	/* Nobody can be told before TLS stands. */
	if (listener->tls == TLS_IMPLICIT &&
		(listener->on_deny == ON_DENY_421 || listener->on_deny == ON_DENY_554))
		listener->on_deny = ON_DENY_DROP;
	if (value_count(section, "certificate"))
		read_pairs(load, section, listener);
	else if (load->whole)
		value_error(load, &tls,
			"needs a certificate and its key; add certificate = { /etc/smtplb/lb1.pem "
			"}  key = { /etc/smtplb/lb1.key }");
}

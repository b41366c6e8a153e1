/*
 * TLS to a pool's relays, and for its probes: the mode, and whom to trust; see check.h.
 */
#include "acl/mem.h"
#include "conf/check.h"

enum {
	NAME_LEN_MAX_DNS = 253, /* RFC 1035 section 2.3.4, as text */
};

/* Nobody is asked for it: who gave it may believe that the relays are verified. */
static void
warn_unused(const struct load *load, cfg_t *section, const char *key, const char *why)
{
	struct value value = value_get(section, key);
	if (value.line && *value.text)
		report_warning(load->report, load->file, value.line, "`%s = %s` has no effect: %s",
			key, value.text, why);
}

struct trust *
check_trust(const struct load *load, cfg_t *pool, bool verifies)
{
	const char *why;
	struct value authorities = value_get(pool, "tls_ca");
	if (!check_path(load, &authorities))
		return NULL;
	struct trust *trust = trust_new(verifies, authorities.text, &why);
	if (!trust)
		value_error(load, &authorities, "can't be used: %s; give a PEM file of authorities",
			why);
	return trust;
}

void
check_relay_tls(const struct load *load, cfg_t *section, struct pool_conf *pool)
{
	static const struct choice modes[] = {
		{.name = "off", .value = TLS_OFF},
		{.name = "starttls", .value = TLS_STARTTLS},
		{.name = "implicit", .value = TLS_IMPLICIT},
		{.name = NULL},
	};
	struct value tls = value_get(section, "tls");
	pool->tls = (enum tls_mode)value_choice(load, &tls, modes);
	struct value verify = value_get(section, "tls_verify");
	pool->tls_verify = value_yes(load, &verify);
	struct value name = value_get(section, "tls_name");
	if (!check_is_plain(name.text, NAME_LEN_MAX_DNS))
		value_error(load, &name,
			"is no name; give the one in the relays' certificates, or \"\" for the "
			"address of each");
	pool->tls_name = mem_text(name.text);
	if (pool->tls == TLS_OFF) {
		warn_unused(load, section, "tls_name", "this pool has `tls = off`");
		return;
	}
	pool->trust = check_trust(load, section, pool->tls_verify);
	if (!pool->tls_verify)
		warn_unused(load, section, "tls_ca", "`tls_verify = no` trusts anybody");
}

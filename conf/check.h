/*
 * From the parsed tree to the snapshot: every value checked and every default filled in, first each
 * for itself, then what they say together. Problems go to load->report; what is filled in after an
 * error is harmless but means nothing. All in the thread that loads.
 */
#ifndef CONF_CHECK_H
#define CONF_CHECK_H

#include "conf/snapshot.h"
#include "conf/value.h"

#include <confuse.h>

/* All of it: the top level, acls, pools, and the listeners that refer to these. */
void check_all(const struct load *load, cfg_t *top, struct snapshot *snapshot);

/* The parts, each in a file of its own. */
void check_top(const struct load *load, cfg_t *top, struct snapshot *snapshot);
void check_geoip(const struct load *load, cfg_t *top, struct snapshot *snapshot);
void check_pool(const struct load *load, cfg_t *section, struct pool_conf *pool);
void check_health(const struct load *load, cfg_t *pool, struct check_conf *check);
void check_listener(const struct load *load, cfg_t *section, const struct snapshot *snapshot,
	struct listener_conf *listener);
void check_tls(const struct load *load, cfg_t *section, struct listener_conf *listener);
void check_relay_tls(const struct load *load, cfg_t *section, struct pool_conf *pool);
void check_limits(const struct load *load, cfg_t *section, struct limits_conf *limits);

/* Whom a pool trusts, by its `tls_ca`; NULL after an error. */
struct trust *check_trust(const struct load *load, cfg_t *pool, bool verifies);

/* Bits that several parts share. */
enum {
	SECOND_MS = 1000,
	HOUR_MS = 3600 * SECOND_MS,
	DAY_MS = 24 * HOUR_MS,
};

/* Whether it is an absolute path, or ""; an error when not. */
bool check_path(const struct load *load, const struct value *value);

/* Whether text is made of printable ASCII without blanks, at most max bytes. */
bool check_is_plain(const char *text, size_t max);

#endif

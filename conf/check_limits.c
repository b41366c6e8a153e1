/*
 * A listener's limits; see check.h.
 */
#include "conf/check.h"
#include "conf/unit.h"

#include <stdio.h>
#include <string.h>

enum {
	SESSIONS_MAX = 10 * 1000 * 1000,
	COUNT_TEXT_MAX = 32,
};

/* Splits N/PERIOD; a bare 0 is a rate too. Returns 0, or -1 when it is none. */
static int
parse_rate(const char *text, uint64_t *count, uint64_t *period_ms)
{
	char count_text[COUNT_TEXT_MAX];
	const char *why;
	size_t len = strcspn(text, "/");
	if (len >= sizeof(count_text))
		return -1;
	memcpy(count_text, text, len);
	count_text[len] = '\0';
	if (unit_parse_number(count, count_text, &why) < 0)
		return -1;
	*period_ms = 1;
	if (text[len] != '/')
		return *count ? -1 : 0;
	if (unit_parse_duration(period_ms, text + len + 1, &why) < 0)
		return -1;
	return *period_ms ? 0 : -1;
}

static struct rate_conf
read_rate(const struct load *load, const struct value *value, const char *off)
{
	char max[DURATION_TEXT_MAX];
	uint64_t count, period_ms;
	if (parse_rate(value->text, &count, &period_ms) < 0)
		value_error(load, value, "is no rate; write N/PERIOD, or %s for none", off);
	else if (count > RATE_COUNT_MAX || period_ms > RATE_PERIOD_MAX_MS)
		value_error(load, value,
			"is out of range; use up to %d in a period of up to %s, or %s for none",
			RATE_COUNT_MAX, unit_format_duration(RATE_PERIOD_MAX_MS, max), off);
	else
		return (struct rate_conf){(uint32_t)count, (uint32_t)period_ms};
	return (struct rate_conf){0, 1};
}

void
check_limits(const struct load *load, cfg_t *section, struct limits_conf *limits)
{
	struct value sessions = value_get(section, "sessions");
	struct value per_client = value_get(section, "sessions_per_client");
	struct value connects = value_get(section, "connects_per_client");
	struct value messages = value_get(section, "messages_per_client");
	limits->sessions = (unsigned)value_number(load, &sessions, 0, SESSIONS_MAX);
	limits->sessions_per_client = (unsigned)value_number(load, &per_client, 0, SESSIONS_MAX);
	limits->connects_per_client = read_rate(load, &connects, "0/1m");
	limits->messages_per_client = read_rate(load, &messages, "0/1h");
	if (limits->sessions && limits->sessions_per_client > limits->sessions)
		report_warning(load->report, load->file, per_client.line,
			"`sessions_per_client = %u` holds nobody back, because `sessions = %u` "
			"for all clients is less; give one client a part of it",
			limits->sessions_per_client, limits->sessions);
}

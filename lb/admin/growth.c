/*
 * See growth.h.
 */
#include "lb/admin/growth.h"

#include "lb/clock.h"

enum {
	MS_A_MINUTE = 60000,
};

uint64_t
recent_minute(void)
{
	return clock_ms() / MS_A_MINUTE;
}

json_t *
growth_replies_json(const struct growth *growth)
{
	json_t *json = json_object();
	for (int i = 0; i < REPLY_CLASSES; i++) {
		json_t *count = json_integer((json_int_t)growth->replies[i]);
		if (json_object_set_new(json, reply_class_names[i], count) < 0) {
			json_decref(json);
			return NULL;
		}
	}
	return json;
}

json_t *
growth_quantile_json(const struct growth *growth, unsigned percent)
{
	int64_t us = durations_quantile_us(growth->greetings, percent);
	return us < 0 ? json_null() : json_real((double)us / 1000);
}

json_t *
growth_greeting_json(const struct growth *growth)
{
	json_int_t count = 0;
	for (int i = 0; i <= DURATION_BOUNDS; i++)
		count += (json_int_t)growth->greetings[i];
	return json_pack("{s:I, s:o, s:o}", "count", count, "p50_ms",
		growth_quantile_json(growth, 50), "p99_ms", growth_quantile_json(growth, 99));
}

/*
 * The reply to EHLO as it is edited: the keyword once or not at all, and not a byte else.
 */
#include "lb/wire/ehlo.h"

#include "tests/unit/unit.h"

#include <string.h>

static const struct {
	const char *reply, *offered, *silent;
} cases[] = {
	{"250-relay\r\n250-SIZE 0\r\n250 8BITMIME\r\n",
		"250-relay\r\n250-SIZE 0\r\n250-8BITMIME\r\n250 STARTTLS\r\n",
		"250-relay\r\n250-SIZE 0\r\n250 8BITMIME\r\n"},
	{"250-relay\r\n250-STARTTLS\r\n250 8BITMIME\r\n",
		"250-relay\r\n250-8BITMIME\r\n250 STARTTLS\r\n", "250-relay\r\n250 8BITMIME\r\n"},
	{"250-relay\r\n250-SIZE\r\n250 starttls\r\n", "250-relay\r\n250-SIZE\r\n250 STARTTLS\r\n",
		"250-relay\r\n250 SIZE\r\n"},
	{"250-relay\r\n250 STARTTLS REQUIRED\r\n", "250-relay\r\n250 STARTTLS\r\n",
		"250 relay\r\n"},
	{"250-relay\r\n250-STARTTLS\tREQUIRED\r\n250 8BITMIME\r\n",
		"250-relay\r\n250-8BITMIME\r\n250 STARTTLS\r\n", "250-relay\r\n250 8BITMIME\r\n"},
	{"250-relay\n250-STARTTLS\n250 8BITMIME\n", "250-relay\n250-8BITMIME\n250 STARTTLS\r\n",
		"250-relay\n250 8BITMIME\n"},
	{"250 relay\r\n", "250-relay\r\n250 STARTTLS\r\n", "250 relay\r\n"},
	{"250\r\n", "250-\r\n250 STARTTLS\r\n", "250 \r\n"},
	{"250 STARTTLS\r\n", "250-STARTTLS\r\n250 STARTTLS\r\n", "250 STARTTLS\r\n"},
	{"250-relay\n250-STARTTLSX\n250 XSTARTTLS\n",
		"250-relay\n250-STARTTLSX\n250-XSTARTTLS\n250 STARTTLS\r\n",
		"250-relay\n250-STARTTLSX\n250 XSTARTTLS\n"},
	{"250-relay\n250\n", "250-relay\n250-\n250 STARTTLS\r\n", "250-relay\n250 \n"},
	{"502 5.5.1 STARTTLS\r\n", "502 5.5.1 STARTTLS\r\n", "502 5.5.1 STARTTLS\r\n"},
	{"421-too\r\n421 busy\r\n", "421-too\r\n421 busy\r\n", "421-too\r\n421 busy\r\n"},
};

enum {
	CASES = sizeof(cases) / sizeof(*cases),
};

static void
check(const char *reply, bool offers, const char *wanted)
{
	uint8_t out[256];
	size_t len = ehlo_edit((const uint8_t *)reply, strlen(reply), offers, out);
	ck_assert_uint_eq(len, strlen(wanted));
	ck_assert_mem_eq(out, wanted, len);
	ck_assert_uint_le(len, strlen(reply) + EHLO_GROWTH);
}

START_TEST(edited)
{
	check(cases[_i].reply, true, cases[_i].offered);
	check(cases[_i].reply, false, cases[_i].silent);
}
END_TEST

static void
fill(TCase *tests)
{
	tcase_add_loop_test(tests, edited, 0, CASES);
}

UNIT_MAIN("ehlo", fill)

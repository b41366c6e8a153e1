/*
 * A client's way into TLS: what each answer leads to, in one piece and byte by byte.
 */
#include "lb/wire/upgrade.h"

#include "tests/unit/unit.h"

#include <string.h>

static const struct {
	const char *hello; /* the answer to EHLO, */
	enum upgrade_step said;
	const char *go; /* and to STARTTLS */
	enum upgrade_step done;
} rows[] = {
	{"250-relay\r\n250 STARTTLS\r\n", UPGRADE_ASK, "220 2.0.0 go\r\n", UPGRADE_READY},
	{"250-relay\r\n250-starttls\r\n250 SIZE\r\n", UPGRADE_ASK, "220\n", UPGRADE_READY},
	{"250-relay\n250 STARTTLS now\n", UPGRADE_ASK, "220-go\n220 on\n", UPGRADE_READY},
	{"250-relay\r\n250 STARTTLS\r\n", UPGRADE_ASK, "454 4.7.0 no\r\n", UPGRADE_REFUSED},
	{"250-relay\r\n250 STARTTLS\r\n", UPGRADE_ASK, "250 ok\r\n", UPGRADE_REFUSED},
	{"250-relay\r\n250 STARTTLS\r\n", UPGRADE_ASK, "what\r\n", UPGRADE_MALFORMED},
	{"250 STARTTLS\r\n", UPGRADE_NOT_OFFERED, NULL, 0},
	{"250-STARTTLS\r\n250 SIZE\r\n", UPGRADE_NOT_OFFERED, NULL, 0},
	{"250-relay\r\n250-STARTTLSX\r\n250 XSTARTTLS\r\n", UPGRADE_NOT_OFFERED, NULL, 0},
	{"250-relay\r\n250 START\r\n", UPGRADE_NOT_OFFERED, NULL, 0},
	{"250-relay\r\n250 SSTARTTLS\r\n", UPGRADE_NOT_OFFERED, NULL, 0},
	{"250-relay\r\n250 START~LS\r\n", UPGRADE_NOT_OFFERED, NULL, 0},
	{"502-no\r\n502 STARTTLS\r\n", UPGRADE_NOT_OFFERED, NULL, 0},
	{"220-relay\r\n220 STARTTLS\r\n", UPGRADE_NOT_OFFERED, NULL, 0},
	{"hello\r\n", UPGRADE_MALFORMED, NULL, 0},
};

static enum upgrade_step
feed(struct upgrade *upgrade, const char *text, size_t piece)
{
	enum upgrade_step step = UPGRADE_WAIT;
	for (size_t at = 0, len = strlen(text); at < len && step == UPGRADE_WAIT; at += piece) {
		size_t left = len - at;
		step = upgrade_feed(
			upgrade, (const uint8_t *)text + at, left < piece ? left : piece);
	}
	return step;
}

START_TEST(answers)
{
	for (size_t piece = 1; piece < 100; piece += 33) {
		struct upgrade upgrade;
		upgrade_init(&upgrade);
		ck_assert_int_eq(feed(&upgrade, rows[_i].hello, piece), rows[_i].said);
		if (rows[_i].go)
			ck_assert_int_eq(feed(&upgrade, rows[_i].go, piece), rows[_i].done);
	}
}
END_TEST

/* Nothing was asked for yet. */
START_TEST(surplus)
{
	struct upgrade upgrade;
	upgrade_init(&upgrade);
	ck_assert_int_eq(
		feed(&upgrade, "250-relay\r\n250 STARTTLS\r\n220 go\r\n", 100), UPGRADE_MALFORMED);
}
END_TEST

/* What a server says behind its 220, it has not said under TLS. */
START_TEST(behind_the_220)
{
	struct upgrade upgrade;
	upgrade_init(&upgrade);
	feed(&upgrade, "250-relay\r\n250 STARTTLS\r\n", 100);
	ck_assert_int_eq(feed(&upgrade, "220 go\r\n250 evil\r\n", 100), UPGRADE_READY);
}
END_TEST

START_TEST(reasons)
{
	static const char *const texts[] = {
		[UPGRADE_WAIT] = "",
		[UPGRADE_ASK] = "",
		[UPGRADE_READY] = "",
		[UPGRADE_NOT_OFFERED] = "STARTTLS is not offered",
		[UPGRADE_REFUSED] = "STARTTLS is refused",
		[UPGRADE_MALFORMED] = "not a reply",
	};
	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++)
		ck_assert_str_eq(upgrade_why((enum upgrade_step)i), texts[i]);
}
END_TEST

static void
fill(TCase *tests)
{
	tcase_add_loop_test(tests, answers, 0, sizeof(rows) / sizeof(*rows));
	tcase_add_test(tests, surplus);
	tcase_add_test(tests, behind_the_220);
	tcase_add_test(tests, reasons);
}

UNIT_MAIN("upgrade", fill)

/*
 * The scanner for the end of mail data: rows in every split in two and a byte at a time, against
 * the end of the mapped memory, and random bytes that are mostly CR, LF and dots against a naive
 * search.
 */
#include "lb/wire/body.h"

#include "tests/unit/random.h"
#include "tests/unit/unit.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define INPUT(text) text, sizeof(text) - 1
#define LINE_64 "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcd\r\n"

enum {
	INPUT_MAX = 4096, /* a page */
};

static const struct {
	const char *input;
	size_t len;
	size_t result; /* 0, or where it ends */
} rows[] = {
	{INPUT(".\r\n"), 3},
	{INPUT(".\r\nQUIT\r\n"), 3},
	{INPUT("\r\n.\r\n"), 5},
	{INPUT("hello\r\n.\r\n"), 10},
	{INPUT("hello\r\n.\r\n.\r\n"), 10},
	{INPUT("\r\n\r\n.\r\n"), 7},
	{INPUT("\r\r\n.\r\n"), 6},
	{INPUT("..\r\n\r\n.\r\n"), 9},
	{INPUT("a\r\n.\r\r\n.\r\n"), 10},
	{INPUT("a\r\n.\r\n"), 6},
	{INPUT("a\r\n.a\r\n.\r\n"), 10},
	{INPUT("\0\r\n.\r\n"), 6},
	{INPUT(LINE_64 ".\r\n"), 67},
	{INPUT(LINE_64 LINE_64 ".\r\n" LINE_64), 131},
	{INPUT(LINE_64 ".x\n.\r\n.y" LINE_64 ".\r\n" LINE_64), 139},
	/* Look-alikes. */
	{INPUT("."), 0},
	{INPUT(".\r"), 0},
	{INPUT(".\n"), 0},
	{INPUT(".\r\r\n"), 0},
	{INPUT("x.\r\n"), 0},
	{INPUT("x\n.\r\n"), 0},
	{INPUT("\n.\r\n"), 0},
	{INPUT("x\r.\r\n"), 0},
	{INPUT("x\r\n.\n"), 0},
	{INPUT("x\r\n.\r"), 0},
	{INPUT("x\r\n.\rx\n"), 0},
	{INPUT("x\n.\n"), 0},
	{INPUT("x\r.\r"), 0},
	{INPUT("x\r\n..\r\n"), 0},
	{INPUT("x\r\n \r\n"), 0},
	{INPUT("x\n\r.\r\n"), 0},
	{INPUT("x\r\n\0.\r\n"), 0},
	{INPUT(LINE_64 "\n.\r\n" LINE_64), 0},
};

/* A page with nothing mapped behind it. */
static uint8_t *page;

static void
map_page(void)
{
	page = mmap(
		NULL, 2 * INPUT_MAX, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ck_assert_ptr_ne(page, MAP_FAILED);
	ck_assert_int_eq(mprotect(page + INPUT_MAX, INPUT_MAX, PROT_NONE), 0);
}

/* Scans a piece that ends where the memory does. */
static size_t
scan(struct body *body, const char *piece, size_t len)
{
	uint8_t *copy = page + INPUT_MAX - len;
	memcpy(copy, piece, len);
	return body_scan(body, copy, len);
}

/* Scans pieces of the given lengths, the last one over and over. Returns where the end is, or 0. */
static size_t
scan_pieces(const char *input, size_t len, const size_t *lens, size_t count)
{
	struct body body;
	body_init(&body);
	for (size_t at = 0, i = 0; at < len; i++) {
		size_t piece_len = lens[i < count ? i : count - 1];
		if (piece_len > len - at)
			piece_len = len - at;
		size_t end = piece_len ? scan(&body, input + at, piece_len) : 0;
		if (end)
			return at + end;
		at += piece_len;
	}
	return 0;
}

START_TEST(splits)
{
	const char *input = rows[_i].input;
	size_t len = rows[_i].len;
	map_page();
	for (size_t cut = 0; cut <= len; cut++) {
		size_t lens[] = {cut, len};
		ck_assert_uint_eq(scan_pieces(input, len, lens, 2), rows[_i].result);
	}
	for (size_t piece_len = 1; piece_len < 8; piece_len++)
		ck_assert_uint_eq(scan_pieces(input, len, &piece_len, 1), rows[_i].result);
}
END_TEST

/* The end at every place of a piece of some blocks. */
START_TEST(every_place)
{
	char input[400];
	map_page();
	for (size_t at = 0; at + 5 <= sizeof(input); at++) {
		memset(input, 'x', sizeof(input));
		memcpy(input + at, "\r\n.\r\n", 5);
		size_t len = sizeof(input);
		ck_assert_uint_eq(scan_pieces(input, len, &len, 1), at + 5);
		len = at + 5;
		ck_assert_uint_eq(scan_pieces(input, len, &len, 1), at + 5);
		len--;
		ck_assert_uint_eq(scan_pieces(input, len, &len, 1), 0);
	}
}
END_TEST

static size_t
find_naively(const char *input, size_t len)
{
	if (len >= 3 && memcmp(input, ".\r\n", 3) == 0)
		return 3;
	for (size_t at = 0; at + 5 <= len; at++)
		if (memcmp(input + at, "\r\n.\r\n", 5) == 0)
			return at + 5;
	return 0;
}

START_TEST(random_bytes)
{
	enum { ROUNDS = 200000, LEN_MAX = 300 };
	static const char letters[] = "\r\n.\r\n.x\r\n";
	uint64_t random = 42;
	unsigned found = 0;
	map_page();
	for (int round = 0; round < ROUNDS; round++) {
		char input[LEN_MAX];
		size_t len = 1 + random_below(&random, LEN_MAX);
		/* Between nothing else and the few among many. */
		unsigned rarity = 1 + random_below(&random, 40);
		for (size_t i = 0; i < len; i++)
			input[i] = random_below(&random, rarity) > 3
					   ? 'a'
					   : letters[random_below(&random, sizeof(letters) - 1)];
		size_t lens[] = {random_below(&random, LEN_MAX), random_below(&random, LEN_MAX),
			1 + random_below(&random, LEN_MAX)};
		size_t end = scan_pieces(input, len, lens, 3);
		ck_assert_msg(end == find_naively(input, len), "round %d", round);
		found += end > 0;
	}
	ck_assert_uint_gt(found, ROUNDS / 100);
	ck_assert_uint_lt(found, ROUNDS - ROUNDS / 100);
}
END_TEST

static void
fill(TCase *cases)
{
	tcase_add_loop_test(cases, splits, 0, sizeof(rows) / sizeof(rows[0]));
	tcase_add_test(cases, every_place);
	tcase_add_test(cases, random_bytes);
}

UNIT_MAIN("body", fill)

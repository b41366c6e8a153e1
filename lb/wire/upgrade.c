/*
 * See upgrade.h. Pure.
 */
#include "lb/wire/upgrade.h"

#include <string.h>

const char upgrade_words[] = "STARTTLS\r\n";

static const char keyword[] = "STARTTLS";

enum {
	KEYWORD_AT = 4, /* "250-" */
	KEYWORD_LEN = sizeof(keyword) - 1,
	KEYWORD_END = KEYWORD_AT + KEYWORD_LEN,
	CODE_DONE = 250,
	CODE_READY = 220,
};

void
upgrade_init(struct upgrade *upgrade)
{
	memset(upgrade, 0, sizeof(*upgrade));
	reply_reader_init(&upgrade->reply);
}

static bool
is_keyword_byte(const struct upgrade *upgrade, uint8_t byte)
{
	if (byte >= 'a' && byte <= 'z')
		byte = (uint8_t)(byte - 'a' + 'A');
	return byte == (uint8_t)keyword[upgrade->column - KEYWORD_AT];
}

/* The keyword may have arguments, and stands in any line but the first. */
static void
look_for_keyword(struct upgrade *upgrade, uint8_t byte)
{
	bool is_blank = byte == ' ' || byte == '\r' || byte == '\n';
	bool ends = upgrade->column == KEYWORD_END && is_blank;
	if (ends && upgrade->later && upgrade->matching == KEYWORD_LEN)
		upgrade->offered = true;
	if (byte == '\n') {
		upgrade->later = true;
		upgrade->column = upgrade->matching = 0;
		return;
	}
	if (upgrade->column >= KEYWORD_AT && upgrade->column < KEYWORD_END)
		upgrade->matching = (uint8_t)(upgrade->matching + is_keyword_byte(upgrade, byte));
	if (upgrade->column <= KEYWORD_END)
		upgrade->column++;
}

static enum upgrade_step
end_reply(struct upgrade *upgrade, bool is_last)
{
	unsigned code = upgrade->reply.status.code;
	if (upgrade->asked)
		return code == CODE_READY ? UPGRADE_READY : UPGRADE_REFUSED;
	if (!is_last)
		return UPGRADE_MALFORMED;
	if (code != CODE_DONE || !upgrade->offered)
		return UPGRADE_NOT_OFFERED;
	upgrade->asked = true;
	reply_reader_init(&upgrade->reply);
	return UPGRADE_ASK;
}

enum upgrade_step
upgrade_feed(struct upgrade *upgrade, const uint8_t *piece, size_t len)
{
	ssize_t taken = reply_reader_feed(&upgrade->reply, piece, len);
	if (taken < 0)
		return UPGRADE_MALFORMED;
	size_t read = taken > 0 ? (size_t)taken : len;
	for (size_t i = 0; i < read; i++)
		look_for_keyword(upgrade, piece[i]);
	return taken > 0 ? end_reply(upgrade, read == len) : UPGRADE_WAIT;
}

const char *
upgrade_why(enum upgrade_step step)
{
	switch (step) {
	case UPGRADE_NOT_OFFERED:
		return "STARTTLS is not offered";
	case UPGRADE_REFUSED:
		return "STARTTLS is refused";
	case UPGRADE_MALFORMED:
		return "not a reply";
	case UPGRADE_WAIT:
	case UPGRADE_ASK:
	case UPGRADE_READY:
		break;
	}
	return "";
}

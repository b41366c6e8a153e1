/*
 * Dialogues for the tracker's test, which says how they are written: those of real clients and
 * relays, and what can go wrong in them. Behind each, the messages and the recipients that were
 * accepted, deferred, rejected.
 */
#ifndef TESTS_UNIT_TRACKER_DIALOGUES_H
#define TESTS_UNIT_TRACKER_DIALOGUES_H

#include "lb/tracker.h"

/* A session up to the first message, and to its body. */
#define HELLO                 \
	"= between\n"         \
	"C: EHLO client\n"    \
	"= busy\n"            \
	"S: 250-relay1\n"     \
	"= busy\n"            \
	"S: 250 PIPELINING\n" \
	"> EHLO 250\n"        \
	"= between\n"
#define ENVELOPE                        \
	"C: MAIL FROM:<a@example.jp>\n" \
	"C: RCPT TO:<b@example.jp>\n"   \
	"S: 250 2.1.0 Ok\n"             \
	"S: 250 2.1.5 Ok\n"             \
	"> MAIL 250 2.1.0\n"            \
	"> RCPT 250 2.1.5\n"            \
	"= transaction\n"
#define BEGIN                            \
	HELLO ENVELOPE "C: DATA\n"       \
		       "= transaction\n" \
		       "S: 354 go\n"     \
		       "> DATA 354\n"    \
		       "= transaction\n"

static const struct dialogue {
	const char *name;
	const char *text;
	uint32_t messages[OUTCOMES], recipients[OUTCOMES];
} dialogues[] = {
	{"one at a time",
		HELLO "c: MAIL FROM:<>\n"
		      "= busy\n"
		      "C: \n"
		      "= transaction\n"
		      "s: 250 2.1.0\n"
		      "= transaction\n"
		      "S:  Ok\n"
		      "> MAIL 250 2.1.0\n"
		      "= transaction\n"
		      "C: RCPT TO:<b>\n"
		      "S: 250 Accepted\n"
		      "> RCPT 250\n"
		      "C: DATA\n"
		      "S: 354 Enter message\n"
		      "> DATA 354\n"
		      "C: hello\n"
		      "C: ..\n"
		      "= transaction\n"
		      "C: .\n"
		      "= after_dot\n"
		      "s: 250 OK id=1\n"
		      "= after_dot\n"
		      "S: \n"
		      "> DOT 250\n"
		      "= between\n"
		      "C: QUIT\n"
		      "= busy\n"
		      "S: 221 bye\n"
		      "> QUIT 221\n"
		      "= busy\n",
		{1, 0, 0}, {1, 0, 0}},
	{"Postfix pipelines QUIT behind the dot",
		BEGIN "C: hello\n"
		      "C: .\n"
		      "C: QUIT\n"
		      "= after_dot\n"
		      "S: 250 2.0.0 Ok: queued\n"
		      "> DOT 250 2.0.0\n"
		      "= busy\n"
		      "S: 221 2.0.0 Bye\n"
		      "> QUIT 221 2.0.0\n",
		{1, 0, 0}, {1, 0, 0}},
	{"RSET and MAIL behind the dot",
		BEGIN "C: .\n"
		      "C: RSET\n"
		      "C: MAIL FROM:<>\n"
		      "= after_dot\n"
		      "S: 451 4.3.0 Error: queue file write error\n"
		      "> DOT 451 4.3.0\n"
		      "= transaction\n"
		      "S: 250 2.0.0 Ok\n"
		      "> RSET 250 2.0.0\n"
		      "= transaction\n"
		      "S: 452 4.3.1 Insufficient system storage\n"
		      "> MAIL 452 4.3.1\n"
		      "= between\n",
		{0, 1, 0}, {1, 0, 0}},
	{"no recipient, but DATA was taken",
		HELLO "C: MAIL FROM:<>\n"
		      "C: RCPT TO:<b>\n"
		      "C: RCPT TO:<c>\n"
		      "C: DATA\n"
		      "= transaction\n"
		      "S: 250 2.1.0 Ok\n"
		      "S: 550 5.1.1 unknown\n"
		      "S: 450 4.2.0 Greylisted\n"
		      "> MAIL 250 2.1.0\n"
		      "> RCPT 550 5.1.1\n"
		      "> RCPT 450 4.2.0\n"
		      "= transaction\n"
		      "S: 354 go\n"
		      "> DATA 354\n"
		      "C: .\n"
		      "S: 554 5.5.1 no valid recipients\n"
		      "> DOT 554 5.5.1\n"
		      "= between\n",
		{0, 0, 1}, {0, 1, 1}},
	{"MAIL is refused, and what was pipelined",
		HELLO "C: MAIL FROM:<>\n"
		      "C: RCPT TO:<b>\n"
		      "C: DATA\n"
		      "S: 550 5.7.1 no\n"
		      "S: 503 5.5.1 need MAIL\n"
		      "> MAIL 550 5.7.1\n"
		      "> RCPT 503 5.5.1\n"
		      "= busy\n"
		      "S: 503 5.5.1 need RCPT\n"
		      "> DATA 503 5.5.1\n"
		      "= between\n",
		{0, 0, 0}, {0, 0, 1}},
	{"DATA is refused, RSET",
		HELLO ENVELOPE "C: DATA\n"
			       "S: 451 4.3.0 later\n"
			       "> DATA 451 4.3.0\n"
			       "= transaction\n"
			       "C: RSET\n"
			       "= transaction\n"
			       "S: 250 2.0.0 Ok\n"
			       "> RSET 250 2.0.0\n"
			       "= between\n",
		{0, 0, 0}, {1, 0, 0}},
	{"a refused RSET, EHLO or HELO ends nothing",
		HELLO ENVELOPE "C: RSET\n"
			       "C: EHLO a\n"
			       "C: HELO a\n"
			       "S: 501 a\n"
			       "S: 501 b\n"
			       "S: 501 c\n"
			       "> RSET 501\n"
			       "> EHLO 501\n"
			       "> HELO 501\n"
			       "= transaction\n"
			       "C: HELO a\n"
			       "S: 250 relay1\n"
			       "> HELO 250\n"
			       "= between\n",
		{0, 0, 0}, {1, 0, 0}},
	{"QUIT ends a transaction, a refused one does not",
		HELLO ENVELOPE "C: QUIT\n"
			       "S: 500 no\n"
			       "> QUIT 500\n"
			       "= transaction\n"
			       "C: QUIT\n"
			       "S: 221 bye\n"
			       "> QUIT 221\n"
			       "= busy\n",
		{0, 0, 0}, {1, 0, 0}},
	{"a nested MAIL is refused",
		HELLO ENVELOPE "C: MAIL FROM:<>\n"
			       "S: 503 5.5.1 nested\n"
			       "> MAIL 503 5.5.1\n"
			       "= transaction\n",
		{0, 0, 0}, {1, 0, 0}},
	{"a MAIL that only the relay can read",
		HELLO "C: \"MAIL\" FROM:<>\n"
		      "S: 250 2.1.0 Ok\n"
		      "> OTHER 250 2.1.0\n"
		      "C: RCPT TO:<b>\n"
		      "S: 250 2.1.5 Ok\n"
		      "> RCPT 250 2.1.5\n"
		      "= transaction\n",
		{0, 0, 0}, {1, 0, 0}},
	{"look-alikes of the end",
		BEGIN "c: %n.%n%n.%r%n%r.%r%r%n.%n.%r\n"
		      "= transaction\n"
		      "C: \n"
		      "c: %r%n.%r%r%n%0.%F%r%n.x%r%n\n"
		      "= transaction\n"
		      "C: .\n"
		      "= after_dot\n"
		      "s: 250%n\n"
		      "> DOT 250\n",
		{1, 0, 0}, {1, 0, 0}},
	{"odd line endings and lines",
		"c: ehlo a%n\n"
		"s: 250 a%n\n"
		"> EHLO 250\n"
		"= between\n"
		"c: %n\n"
		"C: \n"
		"C:   vrfy%0x%F\n"
		"c:  %rvRFy x%r%r%n\n"
		"C: VRFY%0x%F\n"
		"s: 500%n500 x%n\n"
		"S: 500 5.5.2 bad%r\n"
		"S: 252 2.0.0 %0%F\n"
		"S: 502-\n"
		"S: 502\n"
		"> OTHER 500\n"
		"> OTHER 500\n"
		"> OTHER 500 5.5.2\n"
		"> VRFY 252 2.0.0\n"
		"> OTHER 502\n"
		"= between\n",
		{0}, {0}},
	{"chunks",
		HELLO ENVELOPE "C: BDAT 7\n"
			       "= transaction\n"
			       "c: %r%n.%r%n\n"
			       "= transaction\n"
			       "c: %0M\n"
			       "C: BDAT 0\n"
			       "= transaction\n"
			       "S: 250 2.0.0 7 bytes\n"
			       "S: 250 2.0.0 0 bytes\n"
			       "> BDAT 250 2.0.0\n"
			       "> BDAT 250 2.0.0\n"
			       "= transaction\n"
			       "c: BDAT 3 LAST%r%nab\n"
			       "= transaction\n"
			       "c: c\n"
			       "= after_dot\n"
			       "S: 250 2.0.0 Ok\n"
			       "> BDAT 250 2.0.0\n"
			       "= between\n",
		{1, 0, 0}, {1, 0, 0}},
	{"two messages in chunks at once",
		HELLO "C: MAIL FROM:<>\n"
		      "C: RCPT TO:<b>\n"
		      "c: BDAT 1%r%nx\n"
		      "C: BDAT 0 LAST\n"
		      "= after_dot\n"
		      "C: MAIL FROM:<>\n"
		      "C: RCPT TO:<b>\n"
		      "c: BDAT 2 last%r%nx\n"
		      "= after_dot\n"
		      "S: 250 2.1.0 Ok\n"
		      "S: 250 2.1.5 Ok\n"
		      "S: 250 2.0.0 Ok\n"
		      "= after_dot\n"
		      "S: 250 2.0.0 queued\n"
		      "= transaction\n"
		      "c: y\n"
		      "= after_dot\n"
		      "C: QUIT\n"
		      "S: 250 2.1.0 Ok\n"
		      "S: 550 5.1.1 no\n"
		      "= after_dot\n"
		      "S: 554 5.5.1 no valid recipients\n"
		      "= busy\n"
		      "> MAIL 250 2.1.0\n"
		      "> RCPT 250 2.1.5\n"
		      "> BDAT 250 2.0.0\n"
		      "> BDAT 250 2.0.0\n"
		      "> MAIL 250 2.1.0\n"
		      "> RCPT 550 5.1.1\n"
		      "> BDAT 554 5.5.1\n",
		{1, 0, 1}, {1, 0, 1}},
	{"a chunk that is refused before it is whole",
		HELLO ENVELOPE "c: BDAT 4 LAST%r%nab\n"
			       "S: 552 5.3.4 too large\n"
			       "> BDAT 552 5.3.4\n"
			       "= transaction\n"
			       "c: cd\n"
			       "= between\n",
		{0, 0, 1}, {1, 0, 0}},
	{"a chunk of no known size",
		HELLO ENVELOPE "C: BDAT x LAST\n"
			       "= opaque: bdat\n"
			       "S: 501 5.5.4 syntax\n"
			       "c: %r%n.%r%nQUIT%r%n\n"
			       "= opaque: bdat\n",
		{0, 0, 0}, {1, 0, 0}},
	{"STARTTLS",
		HELLO "C: STARTTLS\n"
		      "= busy\n"
		      "S: 220 2.0.0 Ready\n"
		      "> STARTTLS 220 2.0.0\n"
		      "= opaque: starttls\n"
		      "c: %0%F%nMAIL FROM:<>%r%n\n"
		      "s: %0%F%n250 x%r%n\n"
		      "= opaque: starttls\n",
		{0}, {0}},
	{"STARTTLS and its answer's own TLS in one piece",
		"C: STARTTLS\n"
		"s: 220 Ready%r%n%0%0\n"
		"> STARTTLS 220\n"
		"= opaque: starttls\n",
		{0}, {0}},
	{"a refused STARTTLS",
		HELLO "C: STARTTLS\n"
		      "S: 454 4.7.0 not now\n"
		      "> STARTTLS 454 4.7.0\n"
		      "= between\n" ENVELOPE,
		{0, 0, 0}, {1, 0, 0}},
	{"more behind STARTTLS", "C: STARTTLS\nc: N\n= opaque: ahead\nC: OOP\nS: 220 go\n", {0},
		{0}},
	{"more behind AUTH", "C: AUTH LOGIN\nC: dXNlcg==\n= opaque: ahead\n", {0}, {0}},
	{"more behind DATA",
		"C: MAIL FROM:<>\nC: RCPT TO:<b>\nC: DATA\n= transaction\nc: S\n= opaque: ahead\n",
		{0}, {0}},
	{"AUTH",
		HELLO "C: AUTH LOGIN\n"
		      "S: 334 VXNlcm5hbWU6\n"
		      "> AUTH 334\n"
		      "= busy\n"
		      "c: MAIL FROM\n"
		      "= busy\n"
		      "c: %n\n"
		      "= busy\n"
		      "S: 334 UGFzc3dvcmQ6\n"
		      "> AUTH 334\n"
		      "C: DATA\n"
		      "S: 235 2.7.0 ok\n"
		      "> AUTH 235 2.7.0\n"
		      "= between\n",
		{0}, {0}},
	{"AUTH is given up",
		"C: AUTH LOGIN\n"
		"S: 334 \n"
		"> AUTH 334\n"
		"C: *\n"
		"S: 501 5.7.0 aborted\n"
		"> AUTH 501 5.7.0\n"
		"= between\n"
		"C: AUTH PLAIN AGEAYg==\n"
		"S: 535 5.7.8 no\n"
		"> AUTH 535 5.7.8\n"
		"= between\n",
		{0}, {0}},
	{"more than was asked of AUTH",
		"C: AUTH LOGIN\nS: 334 \n> AUTH 334\nC: x\nC: NOOP\n= opaque: ahead\n", {0}, {0}},
	{"421 by itself",
		HELLO "s: 4\n"
		      "= busy\n"
		      "S: 21-4.4.2 relay1\n"
		      "S: 421 4.4.2 timeout\n"
		      "> NONE 421 4.4.2\n"
		      "= busy\n"
		      "C: NOOP\n"
		      "= busy\n",
		{0}, {0}},
	{"421 in the body",
		BEGIN "C: hello\n"
		      "S: 421 4.4.2 timeout\n"
		      "> NONE 421 4.4.2\n"
		      "= transaction\n"
		      "C: .\n"
		      "= after_dot\n",
		{0, 0, 0}, {1, 0, 0}},
	{"421 to the dot",
		BEGIN "C: .\n"
		      "S: 421 4.3.2 shutting down\n"
		      "> DOT 421 4.3.2\n"
		      "= busy\n",
		{0, 1, 0}, {1, 0, 0}},
	{"a surplus reply", HELLO "S: 250 2.0.0 Ok\n= opaque: surplus\nC: NOOP\nS: 250 Ok\n", {0},
		{0}},
	{"a reply in the body", BEGIN "S: 554 5.6.0 enough\n= opaque: surplus\n", {0}, {1, 0, 0}},
	{"two replies to a dot", BEGIN "C: .\nS: 250 a\nS: 250 b\n> DOT 250\n= opaque: surplus\n",
		{1, 0, 0}, {1, 0, 0}},
	{"no reply", HELLO "C: NOOP\ns: he\n= opaque: reply\nS: llo\nC: NOOP\n", {0}, {0}},
	{"two codes in one reply", "C: NOOP\nS: 250-a\ns: 3\n= opaque: reply\n", {0}, {0}},
	{"DATA is taken with another 3xx",
		"C: DATA\nS: 300 go\n> DATA 300\n= transaction\nC: .\nS: 250 a\n> DOT 250\n= "
		"between\n",
		{1, 0, 0}, {0}},
	{"2xx takes no data", "C: DATA\nS: 250 what\n> DATA 250\n= between\n", {0}, {0}},
	{"3xx to another command",
		"C: XDATA\nS: 354 go\n> OTHER 354\n= opaque: intermediate\nC: .\n", {0}, {0}},
	{"3xx to the dot", BEGIN "C: .\nS: 353 each\n> DOT 353\n= opaque: intermediate\n", {0},
		{1, 0, 0}},
	{"more runs than fit into the struct",
		"C: NOOP\nC: VRFY\nC: NOOP\nC: VRFY\nC: NOOP\nC: VRFY\nC: NOOP\nC: VRFY\nC: NOOP\n"
		"C: VRFY\nC: MAIL\nS: 250\nS: 251\nS: 250\nS: 251\nS: 250\nS: 251\nS: 250\nS: "
		"251\nS: 250\n"
		"S: 251\n> NOOP 250\n> VRFY 251\n> NOOP 250\n> VRFY 251\n> NOOP 250\n> VRFY 251\n"
		"> NOOP 250\n> VRFY 251\n> NOOP 250\n> VRFY 251\n= transaction\n",
		{0}, {0}},
};

#endif

/*
 * The http probe's request and reply: see http.h. Pure; the request is the caller's to free.
 */
#include "health/http.h"

#include <stdbool.h>
#include <stdio.h>

enum state {
	IN_STATUS,   /* "HTTP/1.1 200", `at` bytes of it taken */
	IN_REASON,   /* behind the status */
	AT_LINE,     /* at the beginning of a header line */
	IN_NAME,     /* of a header line, before the colon */
	IN_VALUE,    /* of a header line, behind the colon */
	AT_LINE_END, /* behind a line's CR */
	AT_END,      /* behind the empty line's CR */
	COMPLETE,
};

static const char status_line[] = "HTTP/1.n nnn"; /* n: a digit */

char *
http_request(const struct check_conf *check, const struct addr *address)
{
	char text[ADDR_TEXT_MAX];
	char host[ENDPOINT_TEXT_MAX];
	char *request;
	if (check->port != 80)
		endpoint_format(&(struct endpoint){*address, check->port}, host);
	else
		snprintf(host, sizeof(host), address->family == ADDR_V6 ? "[%s]" : "%s",
			addr_format(address, text));
	if (asprintf(&request,
		    "GET %s HTTP/1.1\r\n"
		    "Host: %s\r\n"
		    "User-Agent: smtplb/" SMTPLB_VERSION "\r\n"
		    "Accept: */*\r\n"
		    "Connection: close\r\n\r\n",
		    check->path, check->host[0] != '\0' ? check->host : host) < 0)
		return NULL;
	return request;
}

void
http_reply_init(struct http_reply *reply)
{
	*reply = (struct http_reply){.state = IN_STATUS};
}

static bool
is_text(uint8_t byte)
{
	return byte == '\t' || (byte >= ' ' && byte != 0x7f);
}

static void
keep(struct http_reply *reply, uint8_t byte)
{
	if (reply->line_len == HTTP_LINE_MAX)
		return;
	if (byte < ' ' || byte >= 0x7f)
		byte = '?';
	reply->line[reply->line_len++] = (char)byte;
	reply->line[reply->line_len] = '\0';
}

static int
refuse(struct http_reply *reply, const char *why)
{
	reply->why = why;
	return -1;
}

/* A byte of a reason phrase or a header's value, or the line's end. */
static int
take_text(struct http_reply *reply, uint8_t byte)
{
	if (byte == '\r')
		reply->state = AT_LINE_END;
	else if (byte == '\n')
		reply->state = AT_LINE;
	else if (!is_text(byte))
		return refuse(reply, "control byte in the header");
	return 0;
}

static int
take_status(struct http_reply *reply, uint8_t byte)
{
	char wanted = status_line[reply->at];
	if (wanted == '\0') {
		/* The three digits are in: a fourth one is an error, not a part of the number. */
		reply->state = IN_REASON;
		if (byte != ' ' && byte != '\r' && byte != '\n')
			return refuse(reply, "not an HTTP status");
		return take_text(reply, byte);
	}
	reply->at++;
	if (wanted != 'n')
		return byte == (uint8_t)wanted ? 0 : refuse(reply, "not HTTP");
	if (byte < '0' || byte > '9')
		return refuse(reply, "not an HTTP status");
	if (reply->at <= sizeof("HTTP/1.n"))
		return 0;
	reply->status = reply->status * 10 + (byte - '0');
	return reply->status > 0 ? 0 : refuse(reply, "not an HTTP status");
}

/* The empty line came: the end, or that of an interim reply with the real one behind it. */
static int
take_end(struct http_reply *reply)
{
	if (reply->status >= 200 || reply->status == 101) {
		reply->state = COMPLETE;
		return 0;
	}
	reply->state = IN_STATUS;
	reply->status = 0;
	reply->at = 0;
	reply->line_len = 0;
	return 0;
}

static int
take_line_start(struct http_reply *reply, uint8_t byte)
{
	if (byte == '\n')
		return take_end(reply);
	if (byte == '\r')
		reply->state = AT_END;
	else if (byte == ' ' || byte == '\t') /* a folded line, RFC 9112 section 5.2 */
		reply->state = IN_VALUE;
	else if (is_text(byte) && byte != ':')
		reply->state = IN_NAME;
	else
		return refuse(reply, "not a header line");
	return 0;
}

static int
take(struct http_reply *reply, uint8_t byte)
{
	switch ((enum state)reply->state) {
	case IN_STATUS:
		return take_status(reply, byte);
	case IN_REASON:
	case IN_VALUE:
		return take_text(reply, byte);
	case AT_LINE:
		return take_line_start(reply, byte);
	case IN_NAME:
		if (byte == ':')
			reply->state = IN_VALUE;
		else if (!is_text(byte) || byte == ' ' || byte == '\t')
			return refuse(reply, "not a header line");
		return 0;
	case AT_LINE_END:
		reply->state = AT_LINE;
		return byte == '\n' ? 0 : refuse(reply, "CR without LF");
	case AT_END:
		return byte == '\n' ? take_end(reply) : refuse(reply, "CR without LF");
	case COMPLETE:
		break;
	}
	return refuse(reply, "bytes behind the end");
}

ssize_t
http_reply_feed(struct http_reply *reply, const uint8_t *piece, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		bool in_line = reply->state <= IN_REASON;
		if (reply->total == HTTP_HEADER_MAX)
			return refuse(reply, "header too long");
		reply->total++;
		if (in_line && piece[i] != '\r' && piece[i] != '\n')
			keep(reply, piece[i]);
		if (take(reply, piece[i]) != 0) {
			/* The rest of a line that is not HTTP tells what answered instead. */
			while (in_line && ++i < len && piece[i] != '\r' && piece[i] != '\n')
				keep(reply, piece[i]);
			return -1;
		}
		if (reply->state == COMPLETE)
			return (ssize_t)i + 1;
	}
	return 0;
}

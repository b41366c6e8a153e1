/*
 * One SMTP session of the load generator: connects, awaits the greeting, sends its messages one
 * command after another, says QUIT. All run in the generator's only thread, which owns their memory
 * and tells them when their socket is ready.
 */
#ifndef BENCH_LOAD_SESSION_H
#define BENCH_LOAD_SESSION_H

#include "bench/load_tls.h"

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

enum {
	REPLY_SIZE = 1024,
	WHY_SIZE = 160,
};

/* What all sessions share, and what is counted of them. */
struct load {
	int epoll;
	struct sockaddr_storage to;
	socklen_t to_len;
	unsigned messages; /* of each session; 0: greeting and QUIT */
	size_t size;       /* of a message, without its final dot */
	struct load_tls tls;
	bool stay;  /* no QUIT: the session is left open behind its messages */
	char *body; /* a message with its final dot */
	size_t body_len;
	int body_fd; /* the same as a file, of which large messages are sent; -1 = small */
	char mail[64];
	uint64_t accepted;   /* messages */
	uint64_t failed;     /* sessions */
	char why[WHY_SIZE];  /* the first one failed */
	uint64_t *greetings; /* nanoseconds from connecting to the greeting */
	size_t greeting_count;
	size_t greeting_room;
};

/* By what is awaited. */
enum step {
	STEP_FREE,   /* no session */
	STEP_SECURE, /* TLS */
	STEP_GREETING,
	STEP_HELLO,
	STEP_STARTTLS,
	STEP_MAIL,
	STEP_RCPT,
	STEP_DATA,
	STEP_BODY, /* the reply to the final dot */
	STEP_QUIT,
	STEP_STAYS,
};

struct session {
	struct load *load;
	int fd;
	SSL *ssl; /* NULL without TLS, or as yet */
	enum step step;
	unsigned messages; /* sent */
	uint64_t began_ns;
	size_t unsent; /* of the body */
	bool blocked;  /* the socket takes no more of it, or of the handshake */
	size_t reply_len;
	char reply[REPLY_SIZE];
};

uint64_t now_ns(void);

/* Begins a session in a free place. began_ns is when it should have begun. The session may have
 * failed when this returns, and be free again. */
void session_open(struct session *session, struct load *load, uint64_t began_ns);

/* The socket is ready for something: goes on as far as it can. The place is free when the session
 * has ended. */
void session_advance(struct session *session);

/* Closes what stays. */
void session_close(struct session *session);

#endif

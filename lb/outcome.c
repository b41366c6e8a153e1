/*
 * See outcome.h.
 */
#include "lb/outcome.h"

const char *const session_result_names[] = {
	[RESULT_OK] = "ok",
	[RESULT_DENIED] = "denied",
	[RESULT_LIMITED] = "limited",
	[RESULT_NO_BACKEND] = "no_backend",
	[RESULT_CLIENT_LOST] = "client_lost",
	[RESULT_BACKEND_LOST] = "backend_lost",
	[RESULT_IDLE] = "idle",
	[RESULT_DRAINED] = "drained",
	[RESULT_ERROR] = "error",
};

const char *const session_end_names[] = {
	[END_CLIENT] = "client",
	[END_BACKEND] = "backend",
	[END_BALANCER] = "balancer",
};

const char *const cause_names[] = {
	[CAUSE_REFUSED] = "refused",
	[CAUSE_UNREACHABLE] = "unreachable",
	[CAUSE_RESET] = "reset",
	[CAUSE_CLOSED] = "closed",
	[CAUSE_CONNECT_TIMEOUT] = "connect_timeout",
	[CAUSE_GREETING_TIMEOUT] = "greeting_timeout",
	[CAUSE_GREETING_REPLY] = "greeting_reply",
	[CAUSE_TLS] = "tls",
	[CAUSE_RESOURCES] = "resources",
};

/*
 * How sessions and attempts end: the words for it, as the log and the metrics say them.
 */
#ifndef LB_OUTCOME_H
#define LB_OUTCOME_H

enum session_result {
	RESULT_OK,
	RESULT_DENIED,
	RESULT_LIMITED,
	RESULT_NO_BACKEND,
	RESULT_CLIENT_LOST,
	RESULT_BACKEND_LOST,
	RESULT_IDLE,
	RESULT_DRAINED,
	RESULT_ERROR,
};

enum session_end {
	END_CLIENT,
	END_BACKEND,
	END_BALANCER,
};

/* Why an attempt failed. */
enum cause {
	CAUSE_REFUSED,
	CAUSE_UNREACHABLE,
	CAUSE_RESET,
	CAUSE_CLOSED,
	CAUSE_CONNECT_TIMEOUT,
	CAUSE_GREETING_TIMEOUT,
	CAUSE_GREETING_REPLY,
	CAUSE_TLS,
	CAUSE_RESOURCES,
};

enum {
	RESULTS = RESULT_ERROR + 1,
	ENDS = END_BALANCER + 1,
	CAUSES = CAUSE_RESOURCES + 1,
};

/* By the enums above. */
extern const char *const session_result_names[RESULTS];
extern const char *const session_end_names[ENDS];
extern const char *const cause_names[CAUSES];

#endif

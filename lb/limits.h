/*
 * A listener's limits in force, and who counts among them: its sessions, and where a limit per
 * client is or was asked for, its clients (clients.h).
 *
 * It lives on from one configuration to the next, by the listener's name, and so does what was
 * counted; changed numbers hold at once. A listener that gets its first limit per client begins to
 * count its clients then: sessions that ran before count for nobody.
 *
 * The main thread makes and configures it; any thread may ask.
 */
#ifndef LB_LIMITS_H
#define LB_LIMITS_H

#include "acl/addr.h"
#include "conf/snapshot.h"
#include "lb/limit.h"

#include <stdint.h>

struct client;
struct limits;

/* With one reference, and no limit in force. NULL when there is no memory. */
struct limits *limits_new(void);
struct limits *limits_ref(struct limits *limits);
void limits_unref(struct limits *limits); /* NULL is fine */

/* Makes what limits_configure needs, and changes nothing that is in force. 0, or -1 with errno. */
int limits_prepare(struct limits *limits, const struct limits_conf *conf);

/* These hold from now on. */
void limits_configure(struct limits *limits, const struct limits_conf *conf);

/* One more session of a client, at this time (clock.h). Returns the limit that it is over, and then
 * it counts nowhere; or LIMIT_NONE, and it counts until it leaves or is withdrawn, with the client
 * that is told here: NULL for none. */
enum limit limits_admit(
	struct limits *limits, const struct addr *source, uint64_t now_ms, struct client **client);

/* A session that was admitted is over. */
void limits_leave(struct limits *limits, struct client *client);

/* The same, for one that was turned away for a reason that is not the client's: as if it had never
 * come. */
void limits_withdraw(struct limits *limits, struct client *client);

/* One more message of a client. Returns LIMIT_NONE or LIMIT_MESSAGES_PER_CLIENT. */
enum limit limits_take_message(struct limits *limits, const struct addr *source, uint64_t now_ms);

/* The rate that is in force; a count of 0 where the limit is none, or no rate. */
struct rate_conf limits_rate(struct limits *limits, enum limit limit);

enum {
	RATE_TEXT_MAX = 40,
};

/* As in the configuration: 20/1m. Returns buf. */
const char *limits_rate_format(const struct rate_conf *rate, char buf[RATE_TEXT_MAX]);

#endif

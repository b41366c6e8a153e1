/*
 * What a listener with limits per client remembers of its clients, over all workers: how many
 * sessions each has, and its token buckets. A client is an IPv4 address or an IPv6 /64.
 *
 * The table has a fixed size, whoever comes. A client that is not there and finds no free place
 * takes that of the one that was not seen for longest, among those without a session: who is
 * forgotten has a full bucket again. A client with a session never loses its place. Where every
 * place belongs to such a client, who comes is let in, and nobody counts it: a flood from so many
 * sources is not held back by any limit per client, and must not lock out a good client; the
 * listener's `sessions` and the daemon's max_sessions hold all the same.
 *
 * Any thread may call any function. The table is in shards by the client's hash, with a mutex each.
 */
#ifndef LB_CLIENTS_H
#define LB_CLIENTS_H

#include "acl/addr.h"
#include "conf/snapshot.h"
#include "lb/limit.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	CLIENTS_SHARDS = 16,
	CLIENTS_MAX = 65536, /* that a listener remembers: 7 MB, as they come */
};

struct client;
struct clients;

/* capacity: at least CLIENTS_SHARDS, each of which gets its part. NULL: errno says why. */
struct clients *clients_new(size_t capacity);
void clients_free(struct clients *clients);

/* One more session of the client, at this time (clock.h), and one more connect: if both its limits
 * allow them, else neither. Returns which does not, or LIMIT_NONE. *client: whose session it is,
 * for clients_leave or clients_withdraw; NULL for one that is refused, or that nobody counts. */
enum limit clients_enter(struct clients *clients, const struct addr *source,
	const struct limits_conf *limits, uint64_t now_ms, struct client **client);

/* The session is over. */
void clients_leave(struct clients *clients, struct client *client);

/* The session has not come about, for a reason that is not the client's: its connect does not count
 * either. */
void clients_withdraw(
	struct clients *clients, struct client *client, const struct limits_conf *limits);

/* One more message of the client, with or without a session that counts. False when its limit does
 * not allow it. */
bool clients_take_message(struct clients *clients, const struct addr *source,
	const struct limits_conf *limits, uint64_t now_ms);

#endif

/*
 * Root's powers, and giving them up: after binding, a daemon that was started as root becomes the
 * configured user and keeps nothing of root's but CAP_NET_BIND_SERVICE, so that a reload can bind
 * low ports (capabilities(7)). Called before any thread is started.
 */
#ifndef LB_PRIVILEGES_H
#define LB_PRIVILEGES_H

/* Becomes the user. Does nothing for "" or when not root. Returns 0, or -1 with *why set to what
 * failed (static text) and errno. */
int privileges_drop(const char *user, const char **why);

#endif

/*
 * smtplb explain: what would happen to a client at an address, by the configuration alone. Talks to
 * no daemon and opens no socket, and says that it takes every backend for up.
 */
#ifndef LB_EXPLAIN_H
#define LB_EXPLAIN_H

/* listener: a name, or NULL for every listener. Prints to stdout, errors to stderr. Returns the
 * exit code: 0 when (each of) the listener(s) allows the client, 1 when not, 2 when the address,
 * the name or the configuration is wrong. */
int explain_run(const char *file, const char *listener, const char *ip);

#endif

/*
 * `smtplb run`: the main thread. Starts everything, then waits for signals: HUP reloads, TERM stops
 * gracefully, a second TERM or INT stops now, USR2 replaces the binary.
 */
#ifndef LB_DAEMON_H
#define LB_DAEMON_H

/* Runs until stopped. Returns the exit code: 0 after a stop by signal, 1 on a start-up error, which
 * was told on stderr. */
int daemon_run(const char *file);

#endif

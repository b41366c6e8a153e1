/*
 * What a supervisor is told of us: systemd's protocol of sd_notify(3), a datagram to the socket
 * that NOTIFY_SOCKET names. Without one, nobody is told; and a supervisor that does not take it at
 * once misses it.
 *
 * Main thread.
 */
#ifndef LB_SUPERVISOR_H
#define LB_SUPERVISOR_H

#include <sys/types.h>

/* READY: it serves, at first or again after a reload. status: a line for people. */
void supervisor_ready(const char *status);

/* RELOADING, until it is ready again. */
void supervisor_reloading(void);

/* STOPPING. */
void supervisor_stopping(const char *status);

/* Another process is the service from now on, and ready. */
void supervisor_hand_over(pid_t successor);

#endif

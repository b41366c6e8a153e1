/*
 * The commands that talk to the daemon: what they ask, and how they show the answer. Results go to
 * stdout, errors to stderr; each returns the program's exit code.
 */
#ifndef LB_ADMIN_COMMAND_H
#define LB_ADMIN_COMMAND_H

#include <stdbool.h>

/* json: the answer as it came, for programs. */
int command_show_status(const char *path_of_socket, bool json);
int command_show_sessions(const char *path_of_socket, bool json);
int command_show_denied(const char *path_of_socket, bool json);

/* target: POOL/BACKEND; state: drain, ready or maint. */
int command_give_order(const char *path_of_socket, const char *target, const char *state);

int command_reload(const char *path_of_socket);

#endif

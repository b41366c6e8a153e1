/*
 * What the system says of this process. Where it says nothing, as without /proc, the figure is NAN.
 *
 * Main thread.
 */
#ifndef LB_ADMIN_PROCESS_H
#define LB_ADMIN_PROCESS_H

struct process;

struct process_figures {
	double cpu_s;
	double resident_bytes, virtual_bytes;
	double open_fds, max_fds;
	double start_s; /* since 1970 */
};

/* Keeps open what it reads later, when there may be no descriptor left; it was started now. NULL
 * when there is no memory. proc: /proc/self. */
struct process *process_new(const char *proc);
void process_free(struct process *process); /* NULL is fine */

void process_look(const struct process *process, struct process_figures *figures);

#endif

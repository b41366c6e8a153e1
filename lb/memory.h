/*
 * What happens to the event loops when there is no memory. libev knows no failure: it grows its
 * arrays while a watcher starts, and would abort. A reserve lets them grow all the same, and while
 * it is used up no worker accepts, so that they need not grow again.
 */
#ifndef LB_MEMORY_H
#define LB_MEMORY_H

#include <stdbool.h>

/* Before the first loop. Returns 0, or -1 with errno. */
int memory_init(void);

/* Whether the reserve is used up, and there is no memory for another one. Any thread. */
bool memory_is_short(void);

#endif

/*
 * The format `elb`: a client's line as Classic ELB's access log has it for a TCP or SSL listener
 * (https://docs.aws.amazon.com/elasticloadbalancing/latest/classic/access-log-collection.html), and
 * behind its fifteen columns ours. Any thread, for lb/log.c; the line is the caller's.
 *
 * While it is made, the line's text holds nothing but the values, one behind the other, and its
 * columns say where: they come in any order, and go out in ELB's. A column is one word, or stands
 * between quotes; there is no quote inside of any, no backslash but in \xNN for a byte, and no
 * blank but between quotes. So ELB's readers, which know no escapes, take the line apart.
 */
#ifndef LB_LOG_ELB_H
#define LB_LOG_ELB_H

#include "lb/log.h"

/* From here on the line's values go into columns; what it has so far is dropped. The client came
 * so long ago. */
void log_elb_begin(struct log_line *line, uint64_t age_us);

/* A value, for the columns of this key; there may be none. One for which there is no room is cut
 * short. An empty one is none. */
void log_elb_put(struct log_line *line, const char *key, const void *value, size_t len);

/* Puts the columns in their order; all but the newline. */
void log_elb_finish(struct log_line *line);

#endif

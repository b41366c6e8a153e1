/*
 * What to write into the configuration so that an acl lets a source in that it turns away. Pure;
 * for any thread.
 */
#ifndef ACL_FIX_H
#define ACL_FIX_H

#include "acl/acl.h"

#include <stdbool.h>
#include <stddef.h>

/* "FILE:LINE add 203.0.113.7 to allow": what belongs into the allow list there; of an IPv6 source
 * its whole /64. Each deny rule that no allow for that network can outdo comes before, as in
 * "FILE:LINE remove deny 203.0.113.7/32; ", and alone where nothing else is missing. buf is cut to
 * size. False, and buf is "", when the source is let in as it is, or is no address. */
bool fix_format(const struct acl *acl, const struct addr *source, char *buf, size_t size);

#endif
